package dev.vard.cli;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads options' numbers, and says what to give: picocli names Java's types. */
final class WholeNumbers {
  private static final int LAST_PORT = 65_535;

  private WholeNumbers() {}

  /** Of at least 1. */
  static final class Limit implements ITypeConverter<Long> {
    @Override
    public Long convert(String value) {
      return between(1, Long.MAX_VALUE, value, "give a whole number of at least 1");
    }
  }

  /** Of a server; 0 for any free one. */
  static final class Port implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String value) {
      return (int) between(0, LAST_PORT, value, "give a port from 0 to " + LAST_PORT);
    }
  }

  private static long between(long least, long most, String value, String cure) {
    try {
      long number = Long.parseLong(value.strip());
      if (number >= least && number <= most) {
        return number;
      }
    } catch (NumberFormatException e) {
      // As one that is out of bounds; Java's integers end at 9223372036854775807.
    }
    throw new TypeConversionException("'" + value + "': " + cure);
  }
}
