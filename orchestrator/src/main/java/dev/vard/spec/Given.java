package dev.vard.spec;

import dev.vard.spec.Key.Absent;
import dev.vard.spec.SpecProblem.Code;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What was given for the keys of one specification, or of one part of its reward, and all that is
 * wrong with it.
 */
final class Given {
  /** The section that a reward is read from, a part of a sum too. */
  static final String WHOLE = "reward";

  /** All problems are told at once; a text with more than these is no specification. */
  static final int MOST_PROBLEMS = 100;

  private final Origin source;

  /** What {@code reward} is called in errors. */
  private final String reward;

  private final List<SpecProblem> problems = new ArrayList<>();

  /** By path. */
  private final Map<String, Object> values = new HashMap<>();

  private final Map<String, Origin> origins = new HashMap<>();

  /**
   * @param source the text
   * @param reward what {@code reward} is called in errors
   */
  Given(Origin source, String reward) {
    this.source = source;
    this.reward = reward;
  }

  Origin source() {
    return source;
  }

  /** To be added to. */
  List<SpecProblem> problems() {
    return problems;
  }

  /** Whether it is a part of a sum. */
  boolean isPart() {
    return !reward.equals(WHOLE);
  }

  /** Reads the mapping of a reward's part. */
  void collectPart(Tree.Mapping mapping) {
    origins.put(WHOLE, mapping.origin());
    collect(mapping, WHOLE);
  }

  /** Reads every value that has a key, and refuses those that have none. */
  void collect(Tree.Mapping mapping, String prefix) {
    for (Map.Entry<String, Tree> entry : mapping.entries().entrySet()) {
      String path = Component.below(prefix, entry.getKey());
      Tree tree = entry.getValue();
      origins.put(path, tree.origin());
      Optional<Key<?>> key = Keys.find(path);
      if (key.isPresent()) {
        take(key.get(), tree);
      } else if (Suggestions.isSection(path)) {
        if (tree instanceof Tree.Mapping section) {
          collect(section, path);
        } else {
          add(
              Code.WRONG_TYPE,
              tree.origin(),
              path,
              tree.describe() + "; give a mapping of " + Suggestions.childrenOf(path));
        }
      } else {
        unknown(tree, path, prefix, entry.getKey());
      }
    }
  }

  /** To think of a cure for each of a hundred thousand would take long, and help nobody. */
  private void unknown(Tree tree, String path, String prefix, String key) {
    if (problems.size() < MOST_PROBLEMS) {
      add(
          Code.UNKNOWN_KEY,
          tree.origin(),
          path,
          "is no key of a specification; "
              + Suggestions.cure(prefix, key).replace(WHOLE + ".", reward + "."));
    }
  }

  private <T> void take(Key<T> key, Tree tree) {
    try {
      values.put(key.path(), key.type().read(tree));
    } catch (ValueType.Mismatch e) {
      add(e.code(), tree.origin(), key.path(), e.getMessage() + "; give " + key.type().describe());
    }
  }

  /** Fills in what was not given, and refuses what does not belong. */
  <T> void settle(Key<T> key) {
    if (key.only().isPresent() && !belongs(key.only().get())) {
      refuse(key, "belongs to " + key.only().get() + " only; remove it, or change the kind");
      return;
    }
    if (has(key)) {
      return;
    }
    switch (key.absent()) {
      case Absent.Refused<T> refused -> {
        // A section of the wrong type, or a choice that is none, has had its error already.
        if (!brokenAbove(key)
            && (key.only().isEmpty() || chosen(key.only().get().path()).isPresent())) {
          add(
              Code.MISSING_KEY,
              source.at(0),
              key.path(),
              "is missing; give " + key.type().describe());
        }
      }
      case Absent.Allowed<T> allowed -> {}
      case Absent.Default<T>(T value) -> values.put(key.path(), value);
    }
  }

  /** Whether a choice is, or in the face of its own error may be, one of those named. */
  private boolean belongs(Key.Belongs only) {
    return chosen(only.path()).map(only.values()::contains).orElse(true);
  }

  private Optional<String> chosen(String path) {
    return value(path).map(value -> ValueType.Choice.name((Enum<?>) value));
  }

  private boolean brokenAbove(Key<?> key) {
    return problems.stream()
        .anyMatch(
            problem ->
                shown(key.path()).startsWith(problem.path() + ".") && !problem.path().isEmpty());
  }

  Origin later(Key<?> one, Key<?> other) {
    Origin first = origin(one);
    Origin second = origin(other);
    boolean firstIsLater =
        !first.source().equals(source.source())
            || first.line() > second.line() && second.line() != 0;
    return firstIsLater ? first : second;
  }

  boolean hasProblem(String section) {
    String prefix = shown(section) + ".";
    return problems.stream().anyMatch(problem -> (problem.path() + ".").startsWith(prefix));
  }

  private String shown(String path) {
    return reward.equals(WHOLE) || !(path + ".").startsWith(WHOLE + ".")
        ? path
        : reward + path.substring(WHOLE.length());
  }

  // ------------------------------------------------------------------------ what others ask

  boolean has(Key<?> key) {
    return has(key.path());
  }

  boolean has(String path) {
    return origins.containsKey(path);
  }

  /** Where it was given. */
  Origin origin(Key<?> key) {
    return origin(key.path());
  }

  Origin origin(String path) {
    return origins.getOrDefault(path, source.at(0));
  }

  int whole(Key<Long> key) {
    return Math.toIntExact(get(key));
  }

  <T> T get(Key<T> key) {
    return find(key).orElseThrow(() -> new IllegalStateException(key.path() + " was not settled"));
  }

  /**
   * Safe until {@link #put} has put what a record holds: {@link #take} and {@link #settle} put
   * values of the key's own type only.
   */
  @SuppressWarnings("unchecked")
  <T> Optional<T> find(Key<T> key) {
    return (Optional<T>) value(key.path());
  }

  /** What was given for a key, or holds instead. */
  Optional<Object> value(String path) {
    return Optional.ofNullable(values.get(path));
  }

  /** What a record is to hold, whatever was given. */
  void put(Key<?> key, Object value) {
    values.put(key.path(), value);
  }

  /** What a record is to hold where nothing was given. */
  void putIfAbsent(Key<?> key, Object value) {
    values.putIfAbsent(key.path(), value);
  }

  void refuse(Key<?> key, String why) {
    if (has(key)) {
      add(Code.CONFLICT, origin(key), key.path(), why);
    }
  }

  void forbid(Key<?> key, String why) {
    add(Code.FORBIDDEN, origin(key), key.path(), why);
  }

  void add(Code code, Origin origin, String path, String message) {
    problems.add(new SpecProblem(code, origin, shown(path), message));
  }
}
