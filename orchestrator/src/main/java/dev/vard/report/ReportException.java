package dev.vard.report;

/** A report that could not be written. */
public final class ReportException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** What was wrong. */
  public enum Code {
    /** The folder holds no record of a run. */
    NO_RUN,
    /** A line of the record is not what a run writes. */
    BAD_METRICS,
    /** Reading the folder, or writing the page, failed. */
    STORAGE
  }

  private final Code code;

  ReportException(Code code, String message) {
    super(message);
    this.code = code;
  }

  ReportException(Code code, String message, Throwable cause) {
    super(message, cause);
    this.code = code;
  }

  public Code code() {
    return code;
  }
}
