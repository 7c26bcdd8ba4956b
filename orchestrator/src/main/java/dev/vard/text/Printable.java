package dev.vard.text;

import java.util.regex.Pattern;

/**
 * What others wrote, made fit for a terminal: it must not steer it, nor turn the order of what is
 * read.
 */
public final class Printable {
  /**
   * Control characters (C1 too: U+009B begins a command like ESC [), and those that turn the
   * direction of writing. Joiners stay: emoji and some scripts need them.
   */
  private static final Pattern COMMANDS =
      Pattern.compile("[\\p{Cc}\\u061C\\u200E\\u200F\\u202A-\\u202E\\u2066-\\u2069]+");

  private static final Pattern BREAKS = Pattern.compile("\\s*\\R\\s*");

  private Printable() {}

  /** In one line; what was several is joined by "; ". */
  public static String line(String text) {
    return COMMANDS.matcher(BREAKS.matcher(text).replaceAll("; ")).replaceAll("");
  }
}
