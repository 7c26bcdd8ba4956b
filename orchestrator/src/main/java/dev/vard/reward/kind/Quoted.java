package dev.vard.reward.kind;

import dev.vard.text.Printable;

/** What a server says, made fit for our own messages: one line that is not endless. */
final class Quoted {
  private static final int MOST = 300;

  private Quoted() {}

  static String of(String said) {
    String line = Printable.line(said.replaceAll("[\\p{Cntrl}\\s]+", " ").strip());
    return line.length() <= MOST ? line : line.substring(0, MOST) + "…";
  }
}
