package dev.vard.store;

import dev.vard.run.RunStatus;
import java.time.Instant;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * A run as the database has it.
 *
 * @param id letters, digits, '.', '_' and '-', at most 60
 * @param name the specification's
 * @param requestId the caller's; makes creation idempotent for an owner
 * @param specification with every default, in YAML; empty in lists
 * @param reasonCode as {@code WORKER_UNAVAILABLE}; empty where nothing is wrong
 * @param retryAt of a paused run, when it tries again by itself
 * @param priority larger is sooner
 * @param turn its place among the runs of the same priority: see {@link RunStore#create}
 * @param generation how often it was claimed
 * @param orchestrator who claimed it last; empty before
 * @param cancelRequested somebody wants a running run to stop
 * @param iteration iterations done
 * @param rewardQueries images scored for training
 * @param rewardBefore mean reward of the first evaluation
 * @param rewardNow mean reward of the last evaluation
 * @param klPerTrajectory of the last evaluation, in nats
 * @param exportSha256 of a run that is done; else empty
 * @param lastSequence number of its last event
 */
public record StoredRun(
    String id,
    String name,
    String owner,
    String requestId,
    String specification,
    RunStatus status,
    String reasonCode,
    String reason,
    Optional<Instant> retryAt,
    int priority,
    long turn,
    long generation,
    String orchestrator,
    boolean cancelRequested,
    int iteration,
    int iterations,
    int rewardQueries,
    OptionalDouble rewardBefore,
    OptionalDouble rewardNow,
    OptionalDouble klPerTrajectory,
    String exportSha256,
    long lastSequence,
    Instant createdAt,
    Optional<Instant> startedAt,
    Optional<Instant> endedAt) {}
