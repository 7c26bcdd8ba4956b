package dev.vard.cli;

import java.io.PrintStream;
import java.util.function.IntSupplier;
import me.tongfei.progressbar.ProgressBarConsumer;

/**
 * The last line of a terminal, drawn over again and again.
 *
 * <p>The library's own would do, but that it asks JLine for the terminal's width: and JLine takes
 * the signal handlers of the JVM, so that Ctrl-C ends it before a run is saved.
 */
final class TerminalLine implements ProgressBarConsumer {
  /** Where the terminal does not say. */
  private static final int COLUMNS = 80;

  private final PrintStream out;
  private final IntSupplier width;
  private int drawn;

  /**
   * @param width columns
   */
  TerminalLine(PrintStream out, IntSupplier width) {
    this.out = out;
    this.width = width;
  }

  /** On standard error. */
  static TerminalLine on(PrintStream out) {
    return new TerminalLine(out, () -> Terminal.errorWidth().orElse(COLUMNS));
  }

  /** The last column stays free: a terminal may begin a new line once it is taken. */
  @Override
  public int getMaxRenderedLength() {
    return Math.max(0, width.getAsInt() - 1);
  }

  @Override
  public synchronized void accept(String text) {
    out.print("\r" + over(text));
    out.flush();
    drawn = text.length();
  }

  /** Prints a line that stays, in the place of this one. */
  synchronized void leave(String text) {
    out.println("\r" + over(text));
    drawn = 0;
  }

  /** Covers what was drawn before. */
  private String over(String text) {
    return text + " ".repeat(Math.max(0, Math.min(drawn, getMaxRenderedLength()) - text.length()));
  }

  @Override
  public synchronized void close() {
    if (drawn > 0) {
      out.println();
      drawn = 0;
    }
  }
}
