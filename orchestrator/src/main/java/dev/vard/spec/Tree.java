package dev.vard.spec;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A YAML document that remembers where each value was given. */
sealed interface Tree {

  Origin origin();

  /** What a reader would call it, as {@code a list}. */
  String describe();

  /** A plain value, with the type that YAML's core schema gives it. */
  record Scalar(Origin origin, String text, Kind kind) implements Tree {
    enum Kind {
      TEXT,
      WHOLE,
      DECIMAL,
      BOOLEAN,
      NOTHING
    }

    @Override
    public String describe() {
      return switch (kind) {
        case TEXT -> "'" + text + "' is text";
        case WHOLE, DECIMAL -> text + " is a number";
        case BOOLEAN -> text + " is a truth value";
        case NOTHING -> "nothing is given";
      };
    }
  }

  /** A list. */
  record Sequence(Origin origin, List<Tree> items) implements Tree {
    @Override
    public String describe() {
      return "a list is given";
    }
  }

  /** Keys and values, in the order of the document. */
  record Mapping(Origin origin, Map<String, Tree> entries) implements Tree {
    @Override
    public String describe() {
      return "a mapping is given";
    }

    /**
     * This tree with one value set, and the mappings on the way to it made where they are missing.
     */
    Mapping with(List<String> path, Tree value) {
      Map<String, Tree> changed = new LinkedHashMap<>(entries);
      String key = path.getFirst();
      if (path.size() == 1) {
        changed.put(key, value);
      } else {
        Mapping inner =
            entries.get(key) instanceof Mapping mapping
                ? mapping
                : new Mapping(value.origin(), Map.of());
        changed.put(key, inner.with(path.subList(1, path.size()), value));
      }
      return new Mapping(origin, changed);
    }
  }
}
