package dev.vard.store;

import dev.vard.run.RunStatus;
import io.micronaut.core.annotation.Nullable;
import io.micronaut.data.annotation.Id;
import io.micronaut.data.annotation.MappedEntity;
import java.time.Instant;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * A row of {@code run}: see {@link StoredRun}.
 *
 * @param requestId null where the caller gave none
 */
@MappedEntity("run")
record RunRow(
    @Id String id,
    String name,
    String owner,
    @Nullable String requestId,
    String requestDigest,
    RunStatus status,
    String reasonCode,
    String reason,
    @Nullable Instant retryAt,
    int priority,
    long turn,
    long generation,
    String orchestrator,
    boolean cancelRequested,
    int iteration,
    int iterations,
    int rewardQueries,
    @Nullable Double rewardBefore,
    @Nullable Double rewardNow,
    @Nullable Double klPerTrajectory,
    String exportSha256,
    long lastSequence,
    Instant createdAt,
    @Nullable Instant startedAt,
    @Nullable Instant endedAt) {

  static RunRow waiting(NewRun run, long turn, Instant now) {
    return new RunRow(
        run.id(),
        run.name(),
        run.owner(),
        run.requestId().isEmpty() ? null : run.requestId(),
        run.requestDigest(),
        RunStatus.WAITING,
        "",
        "",
        null,
        run.priority(),
        turn,
        0,
        "",
        false,
        0,
        run.iterations(),
        0,
        null,
        null,
        null,
        "",
        0,
        now,
        null,
        null);
  }

  StoredRun with(String specification) {
    return new StoredRun(
        id,
        name,
        owner,
        requestId == null ? "" : requestId,
        specification,
        status,
        reasonCode,
        reason,
        Optional.ofNullable(retryAt),
        priority,
        turn,
        generation,
        orchestrator,
        cancelRequested,
        iteration,
        iterations,
        rewardQueries,
        optional(rewardBefore),
        optional(rewardNow),
        optional(klPerTrajectory),
        exportSha256,
        lastSequence,
        createdAt,
        Optional.ofNullable(startedAt),
        Optional.ofNullable(endedAt));
  }

  private static OptionalDouble optional(@Nullable Double value) {
    return value == null ? OptionalDouble.empty() : OptionalDouble.of(value);
  }
}
