package dev.vard.spec;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * One key of a specification.
 *
 * @param path from the root, with dots
 * @param absent what holds where the key is not given
 * @param only the choice that the key belongs to; empty where it always has a meaning
 * @param meaning one sentence for the reference
 */
record Key<T>(
    String path, ValueType<T> type, Absent<T> absent, Optional<Belongs> only, String meaning) {

  /** What holds where a key is not given. */
  sealed interface Absent<T> {
    /** An error. */
    record Refused<T>() implements Absent<T> {}

    /** Nothing, which has a meaning of its own. */
    record Allowed<T>(String stands) implements Absent<T> {}

    /** The default. */
    record Default<T>(T value) implements Absent<T> {}
  }

  /** A key that has a meaning only where another key has one of these values. */
  record Belongs(String path, List<String> values) {
    @Override
    public String toString() {
      return path + ": " + String.join(" or ", values);
    }
  }

  static <T> Key<T> required(String path, ValueType<T> type, String meaning) {
    return new Key<>(path, type, new Absent.Refused<>(), Optional.empty(), meaning);
  }

  /**
   * @param stands what the key's absence means, for the reference
   */
  static <T> Key<T> optional(String path, ValueType<T> type, String stands, String meaning) {
    return new Key<>(path, type, new Absent.Allowed<>(stands), Optional.empty(), meaning);
  }

  static <T> Key<T> of(String path, ValueType<T> type, T byDefault, String meaning) {
    return new Key<>(path, type, new Absent.Default<>(byDefault), Optional.empty(), meaning);
  }

  Key<T> onlyWith(String choice, Enum<?>... values) {
    List<String> names = new ArrayList<>();
    for (Enum<?> value : values) {
      names.add(ValueType.Choice.name(value));
    }
    return new Key<>(
        path, type, absent, Optional.of(new Belongs(choice, List.copyOf(names))), meaning);
  }

  List<String> segments() {
    return List.of(path.split("\\."));
  }
}
