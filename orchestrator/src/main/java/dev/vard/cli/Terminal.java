package dev.vard.cli;

import java.util.OptionalInt;
import org.jline.nativ.CLibrary;

/** What the system says of the program's standard streams. */
public final class Terminal {
  private static final int INPUT = 0;
  private static final int OUTPUT = 1;
  private static final int ERROR = 2;

  private Terminal() {}

  /** Whether somebody can answer. */
  public static boolean hasInput() {
    return is(INPUT);
  }

  /** Whether what goes to standard error can draw over what went there before. */
  static boolean hasError() {
    return is(ERROR);
  }

  /** Columns of the terminal that results go to; empty where they go elsewhere. */
  public static OptionalInt width() {
    return width(OUTPUT);
  }

  /** Columns of the terminal that standard error goes to; empty where it goes elsewhere. */
  static OptionalInt errorWidth() {
    return width(ERROR);
  }

  private static OptionalInt width(int stream) {
    if (!is(stream)) {
      return OptionalInt.empty();
    }
    CLibrary.WinSize size = new CLibrary.WinSize();
    return CLibrary.ioctl(stream, CLibrary.TIOCGWINSZ, size) == 0 && size.ws_col > 0
        ? OptionalInt.of(size.ws_col)
        : OptionalInt.empty();
  }

  /** Asks the system: {@code System.console()} tells of standard input and output together. */
  private static boolean is(int stream) {
    try {
      return CLibrary.isatty(stream) == 1;
    } catch (LinkageError e) {
      return false;
    }
  }
}
