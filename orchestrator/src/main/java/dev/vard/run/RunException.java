package dev.vard.run;

import dev.vard.algorithm.NotFiniteException;
import dev.vard.proto.v1.ErrorCode;
import dev.vard.reward.RewardException;
import dev.vard.worker.WorkerException;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A run that did not reach its end, or an attempt at it. What it had written until then is still
 * there.
 */
public final class RunException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** The code of a run that was told to stop. */
  public static final String CANCELLED = "CANCELLED";

  /** The code of a file, or its disk, that cannot be read or written. */
  public static final String STORAGE = "STORAGE";

  /** The code of a run that a newer program went on with: this one cannot read what it kept. */
  public static final String NEWER_STATE = "NEWER_STATE";

  /** What can be done about it. */
  enum Remedy {
    /** Another worker, or the same one started anew, may do better. */
    RESTART_WORKER,
    /** Time may mend it, or somebody: the run tries again by itself. */
    WAIT,
    /** Somebody has to look, and to resume the run. */
    LOOK,
    /** None: as the run was asked for it cannot be done. */
    NONE
  }

  private final String code;
  private final Remedy remedy;
  private final Remedy otherwise;

  private RunException(
      String code, Remedy remedy, Remedy otherwise, String message, @Nullable Throwable cause) {
    super(message, cause);
    this.code = code;
    this.remedy = remedy;
    this.otherwise = otherwise;
  }

  private RunException(String code, Remedy remedy, String message, @Nullable Throwable cause) {
    this(code, remedy, remedy, message, cause);
  }

  /** Never null. */
  @Override
  public String getMessage() {
    return Objects.requireNonNull(super.getMessage());
  }

  /** One that has no remedy. */
  RunException(String code, String message) {
    this(code, Remedy.NONE, message, null);
  }

  /**
   * @param when as "while fitting the value in iteration 3"
   * @param met whether the worker had answered before: one that was there and is lost at the same
   *     point each time is more than out of reach
   */
  static RunException of(String when, WorkerException e, boolean met) {
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
    // The worker's message names the field itself.
    return new RunException(code, remedy(e), otherwise(e, met), when + ": " + e.getMessage(), e);
  }

  private static Remedy remedy(WorkerException e) {
    return switch (e.kind()) {
      case UNAVAILABLE, DEADLINE, CANCELLED, BROKEN_ANSWER -> Remedy.RESTART_WORKER;
      case REFUSED ->
          switch (e.code()) {
            case STORAGE -> Remedy.WAIT;
            case OUT_OF_MEMORY, INTERNAL -> Remedy.RESTART_WORKER;
            // The worker lost the run's session, or another's got in the way.
            case UNKNOWN_SESSION,
                SESSION_EXISTS,
                OUT_OF_ORDER,
                UNKNOWN_TRAJECTORY,
                TRAJECTORY_EXISTS,
                CANCELLED ->
                Remedy.RESTART_WORKER;
            case CHECKPOINT_NOT_FOUND, CORRUPT_CHECKPOINT, UNSAFE_CHECKPOINT, NEWER_STATE ->
                Remedy.LOOK;
            case INVALID_ARGUMENT,
                MODEL_NOT_LOADABLE,
                NOT_FINITE,
                INCONSISTENT,
                ERROR_CODE_UNSPECIFIED,
                UNRECOGNIZED ->
                Remedy.NONE;
          };
    };
  }

  /** What is left to do where another worker fails like the one before, again and again. */
  private static Remedy otherwise(WorkerException e, boolean met) {
    return switch (e.kind()) {
      case UNAVAILABLE -> met ? Remedy.LOOK : Remedy.WAIT;
      case DEADLINE, CANCELLED, BROKEN_ANSWER -> Remedy.LOOK;
      case REFUSED ->
          switch (e.code()) {
            case INTERNAL -> Remedy.NONE;
            // Whoever else has the worker may be done with it by then.
            case UNKNOWN_SESSION, SESSION_EXISTS -> Remedy.WAIT;
            case OUT_OF_MEMORY, OUT_OF_ORDER, UNKNOWN_TRAJECTORY, TRAJECTORY_EXISTS, CANCELLED ->
                Remedy.LOOK;
            case STORAGE,
                CHECKPOINT_NOT_FOUND,
                CORRUPT_CHECKPOINT,
                UNSAFE_CHECKPOINT,
                NEWER_STATE,
                INVALID_ARGUMENT,
                MODEL_NOT_LOADABLE,
                NOT_FINITE,
                INCONSISTENT,
                ERROR_CODE_UNSPECIFIED,
                UNRECOGNIZED ->
                remedy(e);
          };
    };
  }

  static RunException of(String when, RewardException e) {
    Remedy remedy = e.retryable() ? Remedy.WAIT : Remedy.LOOK;
    return new RunException("REWARD_FAILED", remedy, when + ": " + e.getMessage(), e);
  }

  static RunException of(String when, NotFiniteException e) {
    return new RunException("NOT_FINITE", Remedy.NONE, when + ": " + e.getMessage(), e);
  }

  static RunException cancelled(String when, @Nullable Throwable cause) {
    return new RunException(
        CANCELLED, Remedy.RESTART_WORKER, Remedy.WAIT, "told to stop " + when, cause);
  }

  static RunException newer(String message) {
    return new RunException(NEWER_STATE, Remedy.LOOK, message, null);
  }

  public static RunException storage(String message, @Nullable Throwable cause) {
    return new RunException(STORAGE, Remedy.WAIT, message, cause);
  }

  /**
   * For programs: a worker's error code, {@code REWARD_FAILED}, {@link #STORAGE}, {@link
   * #CANCELLED}, …
   */
  public String code() {
    return code;
  }

  Remedy remedy() {
    return remedy;
  }

  /** How long to wait at least before another try. */
  Optional<Duration> retryAfter() {
    return getCause() instanceof RewardException e ? e.retryAfter() : Optional.empty();
  }

  /** The remedy once {@link #remedy} has failed again and again. */
  Remedy otherwise() {
    return otherwise;
  }

  public boolean cancelled() {
    return code.equals(CANCELLED);
  }
}
