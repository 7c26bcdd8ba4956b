package dev.vard.spec;

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

    /**
     * Nothing, which has a meaning of its own.
     *
     * @param stands that meaning, for the reference
     */
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

  Key<T> onlyWith(String choice, List<String> values) {
    return new Key<>(
        path, type, absent, Optional.of(new Belongs(choice, List.copyOf(values))), meaning);
  }

  List<String> segments() {
    return List.of(path.split("\\."));
  }
}
