package dev.vard.cli;

/** What the program ends with. */
public final class ExitCode {
  public static final int OK = 0;
  public static final int FAILED = 1;
  public static final int BAD_USAGE = 2;

  /** 128 and the number of SIGINT, as shells count; SIGTERM ends the same way. */
  public static final int CANCELLED = 130;

  private ExitCode() {}
}
