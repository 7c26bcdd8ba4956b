package dev.vard.cli;

import java.math.BigDecimal;
import java.util.Locale;

/** Quantities as a person reads them. */
public final class Readable {
  private static final String UNITS = "kMGT";

  private Readable() {}

  /** Seconds as {@code 9.4 s}, {@code 2 min 41 s} or {@code 1 h 05 min}. */
  public static String duration(double seconds) {
    if (seconds < 59.95) {
      return String.format(Locale.ROOT, "%.1f s", seconds);
    }
    long whole = Math.round(seconds);
    return whole < 3600
        ? "%d min %02d s".formatted(whole / 60, whole % 60)
        : "%d h %02d min".formatted(whole / 3600, whole % 3600 / 60);
  }

  /** A number that a person wrote, without zeros that were not there: {@code 60}, {@code 0.5}. */
  public static String given(double value) {
    return BigDecimal.valueOf(value).stripTrailingZeros().toPlainString();
  }

  /** Bytes as {@code 812 B}, {@code 1.4 kB} or {@code 12.3 MB}: thousands, as disks count. */
  public static String bytes(long bytes) {
    if (bytes < 1000) {
      return bytes + " B";
    }
    double value = bytes;
    int unit = 0;
    while (value >= 999.95 && unit < UNITS.length()) {
      value /= 1000;
      unit++;
    }
    return String.format(Locale.ROOT, "%.1f %sB", value, UNITS.charAt(unit - 1));
  }
}
