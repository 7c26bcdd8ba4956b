package dev.vard.cli.client;

import java.util.OptionalInt;
import org.jline.nativ.CLibrary;

/** What the system says of the program's standard streams. */
final class Terminal {
  private static final int INPUT = 0;
  private static final int OUTPUT = 1;

  private Terminal() {}

  /** Whether somebody can answer. {@code System.console()} does not tell, from JDK 22 on. */
  static boolean hasInput() {
    try {
      return CLibrary.isatty(INPUT) == 1;
    } catch (LinkageError e) {
      return false;
    }
  }

  /** Columns of the terminal that results go to; empty where they go elsewhere. */
  static OptionalInt width() {
    try {
      CLibrary.WinSize size = new CLibrary.WinSize();
      return CLibrary.isatty(OUTPUT) == 1
              && CLibrary.ioctl(OUTPUT, CLibrary.TIOCGWINSZ, size) == 0
              && size.ws_col > 0
          ? OptionalInt.of(size.ws_col)
          : OptionalInt.empty();
    } catch (LinkageError e) {
      return OptionalInt.empty();
    }
  }
}
