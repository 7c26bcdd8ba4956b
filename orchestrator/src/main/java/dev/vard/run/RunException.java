package dev.vard.run;

import dev.vard.proto.v1.ErrorCode;
import dev.vard.reward.RewardException;
import dev.vard.worker.WorkerException;

/** A run that did not reach its end. What it had written until then is still there. */
public final class RunException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** The code of a run that was told to stop. */
  public static final String CANCELLED = "CANCELLED";

  private final String code;

  RunException(String code, String message, Throwable cause) {
    super(message, cause);
    this.code = code;
  }

  RunException(String code, String message) {
    this(code, message, null);
  }

  /**
   * @param when as "while fitting the value in iteration 3"
   */
  static RunException of(String when, WorkerException e) {
    if (e.kind() == WorkerException.Kind.CANCELLED) {
      return cancelled(when, e);
    }
    String code =
        switch (e.kind()) {
          case REFUSED ->
              e.code() == ErrorCode.ERROR_CODE_UNSPECIFIED ? "REFUSED" : e.code().name();
          case UNAVAILABLE -> "WORKER_UNAVAILABLE";
          case DEADLINE -> "DEADLINE";
          case CANCELLED -> CANCELLED;
          case BROKEN_ANSWER -> "BROKEN_ANSWER";
        };
    String field = e.field().isEmpty() ? "" : e.field() + ": ";
    return new RunException(code, when + ": " + field + e.getMessage(), e);
  }

  static RunException of(String when, RewardException e) {
    return new RunException("REWARD_FAILED", when + ": " + e.getMessage(), e);
  }

  static RunException cancelled(String when, Throwable cause) {
    return new RunException(CANCELLED, "told to stop " + when, cause);
  }

  static RunException storage(String message, Throwable cause) {
    return new RunException("STORAGE", message, cause);
  }

  /**
   * For programs: a worker's error code, {@code REWARD_FAILED}, {@code STORAGE}, {@link
   * #CANCELLED}, …
   */
  public String code() {
    return code;
  }

  public boolean cancelled() {
    return code.equals(CANCELLED);
  }
}
