package dev.vard.cli;

/** What the program ends with. */
final class ExitCode {
  static final int OK = 0;
  static final int FAILED = 1;
  static final int BAD_USAGE = 2;

  /** 128 and the number of SIGINT, as shells count; SIGTERM ends the same way. */
  static final int CANCELLED = 130;

  private ExitCode() {}
}
