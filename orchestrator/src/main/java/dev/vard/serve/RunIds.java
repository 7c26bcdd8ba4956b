package dev.vard.serve;

import java.util.random.RandomGenerator;
import java.util.regex.Pattern;

/**
 * Ids of runs: the name, so that a person knows it again, and eight characters by chance, so that
 * it is the only one.
 */
final class RunIds {
  private static final Pattern ID = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,59}");
  private static final int NAME = 40;
  private static final int CHANCE = 8;

  /** Crockford's base 32: no letter that looks like a digit. */
  private static final String ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

  private RunIds() {}

  /** As {@code emoji-compressibility-3f9kq07w}. */
  static String next(String name, RandomGenerator random) {
    StringBuilder id = new StringBuilder(name.substring(0, Math.min(NAME, name.length())));
    id.append('-');
    for (int i = 0; i < CHANCE; i++) {
      id.append(ALPHABET.charAt(random.nextInt(ALPHABET.length())));
    }
    return id.toString();
  }

  /** Whether a text can be an id, and so a folder's name. */
  static boolean isOne(String text) {
    return ID.matcher(text).matches();
  }
}
