package dev.vard.run;

import java.time.Instant;
import java.util.Optional;

/**
 * How a run let go of its worker.
 *
 * @param status {@code DONE}, {@code FAILED}, {@code CANCELLED}, {@code PAUSED}; {@code WAITING}
 *     for a run that was drained
 * @param code as {@code WORKER_UNAVAILABLE}; empty where nothing is wrong
 * @param reason what was wrong, where, and what to do
 * @param retryAt of a paused run, when it tries again by itself
 * @param result of a run that is done
 * @param problem what was wrong, with its trace
 */
public record RunEnd(
    RunStatus status,
    String code,
    String reason,
    Optional<Instant> retryAt,
    Optional<RunResult> result,
    Optional<RunException> problem) {

  public RunEnd(
      RunStatus status,
      String code,
      String reason,
      Optional<Instant> retryAt,
      Optional<RunResult> result) {
    this(status, code, reason, retryAt, result, Optional.empty());
  }
}
