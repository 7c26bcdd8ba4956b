package dev.vard.worker;

import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.WorkerError;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** A request to a worker that failed. The message says what was wrong, where, and what to do. */
public final class WorkerException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** How it failed. */
  public enum Kind {
    /** The worker answered with an error: {@link #code()} and {@link #field()} say which. */
    REFUSED,
    /** There is no worker to answer: not installed, not started, not reachable, or it died. */
    UNAVAILABLE,
    /** The deadline passed. */
    DEADLINE,
    /** The calling thread was interrupted, or the client closed. */
    CANCELLED,
    /** The answer arrived damaged or against the contract. */
    BROKEN_ANSWER
  }

  private final Kind kind;
  private final ErrorCode code;
  private final String field;

  private WorkerException(
      Kind kind, ErrorCode code, String field, String message, @Nullable Throwable cause) {
    super(message, cause);
    this.kind = Objects.requireNonNull(kind);
    this.code = Objects.requireNonNull(code);
    this.field = Objects.requireNonNull(field);
  }

  static WorkerException refused(WorkerError error, @Nullable Throwable cause) {
    Kind kind = error.getCode() == ErrorCode.CANCELLED ? Kind.CANCELLED : Kind.REFUSED;
    return new WorkerException(kind, error.getCode(), error.getField(), error.getMessage(), cause);
  }

  /** A failure of the worker that it did not put into a {@link WorkerError} itself: a defect. */
  static WorkerException internal(String message, @Nullable Throwable cause) {
    return new WorkerException(Kind.REFUSED, ErrorCode.INTERNAL, "", message, cause);
  }

  static WorkerException unavailable(String message, @Nullable Throwable cause) {
    return new WorkerException(
        Kind.UNAVAILABLE, ErrorCode.ERROR_CODE_UNSPECIFIED, "", message, cause);
  }

  static WorkerException deadline(String message, @Nullable Throwable cause) {
    return new WorkerException(Kind.DEADLINE, ErrorCode.ERROR_CODE_UNSPECIFIED, "", message, cause);
  }

  static WorkerException cancelled(String message, @Nullable Throwable cause) {
    return new WorkerException(Kind.CANCELLED, ErrorCode.CANCELLED, "", message, cause);
  }

  static WorkerException brokenAnswer(String message, @Nullable Throwable cause) {
    return new WorkerException(
        Kind.BROKEN_ANSWER, ErrorCode.ERROR_CODE_UNSPECIFIED, "", message, cause);
  }

  /** Never null. */
  @Override
  public String getMessage() {
    return Objects.requireNonNull(super.getMessage());
  }

  public Kind kind() {
    return kind;
  }

  /** The worker's code; {@link ErrorCode#ERROR_CODE_UNSPECIFIED} where no worker gave one. */
  public ErrorCode code() {
    return code;
  }

  /** The request's field that is to blame, as {@code sampler.steps}; empty where none is. */
  public String field() {
    return field;
  }
}
