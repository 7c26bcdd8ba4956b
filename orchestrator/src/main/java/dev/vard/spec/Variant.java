package dev.vard.spec;

import java.util.Arrays;

/** A kind of a section: its name is an enum's constant, and a record of its own holds its keys. */
interface Variant {
  Class<? extends Record> type();

  /** The kind whose record this is. */
  static <K extends Enum<K> & Variant> K of(Class<K> kinds, Class<?> record) {
    return Arrays.stream(kinds.getEnumConstants())
        .filter(kind -> kind.type().equals(record))
        .findFirst()
        .orElseThrow();
  }

  /** What a record's kind is called in a specification. */
  static String name(Class<?> kinds, Class<?> record) {
    return Arrays.stream(kinds.getEnumConstants())
        .filter(kind -> ((Variant) kind).type().equals(record))
        .map(kind -> ValueType.Choice.name((Enum<?>) kind))
        .findFirst()
        .orElseThrow();
  }
}
