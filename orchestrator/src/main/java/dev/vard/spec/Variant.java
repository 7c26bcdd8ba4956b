package dev.vard.spec;

import java.util.Arrays;

/** A kind of a section: its name is an enum's constant, and a record of its own holds its keys. */
interface Variant {
  Class<? extends Record> type();

  /**
   * The kind whose record this is.
   *
   * @param kinds an enum of variants
   */
  static <K> K of(Class<K> kinds, Class<?> record) {
    return Arrays.stream(kinds.getEnumConstants())
        .filter(kind -> ((Variant) kind).type().equals(record))
        .findFirst()
        .orElseThrow();
  }
}
