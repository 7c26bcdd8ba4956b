package dev.vard.store;

import dev.vard.run.RunStatus;
import io.micronaut.core.annotation.Nullable;
import io.micronaut.data.annotation.Query;
import io.micronaut.data.jdbc.annotation.JdbcRepository;
import io.micronaut.data.model.query.builder.sql.Dialect;
import io.micronaut.data.repository.GenericRepository;
import java.time.Instant;
import java.util.Collection;
import java.util.List;
import java.util.Optional;

/** Runs, and their specifications. */
@JdbcRepository(dialect = Dialect.POSTGRES)
interface RunRepository extends GenericRepository<RunRow, String> {

  RunRow save(RunRow row);

  @Query("insert into specification (run_id, yaml) values (:id, :yaml)")
  void saveSpecification(String id, String yaml);

  Optional<RunRow> findById(String id);

  @Query("select yaml from specification where run_id = :id")
  String specification(String id);

  /** Nobody else changes the run until the transaction ends. */
  @Query("select * from run where id = :id for update")
  Optional<RunRow> lock(String id);

  Optional<RunRow> findByOwnerAndRequestId(String owner, String requestId);

  @Query(
      "select * from run where status in (:statuses) order by priority desc, turn, created_at, id")
  List<RunRow> queue(Collection<RunStatus> statuses);

  /** Waiting runs in front of a place in the queue. */
  @Query(
      """
      select count(*) from run
      where status = 'WAITING'
        and (priority > :priority
          or priority = :priority and turn < :turn
          or priority = :priority and turn = :turn and created_at < :createdAt
          or priority = :priority and turn = :turn and created_at = :createdAt and id < :id)
      """)
  int countBefore(int priority, long turn, Instant createdAt, String id);

  int countByOwnerAndStatusIn(String owner, Collection<RunStatus> statuses);

  /** The largest turn that an owner was given at a priority. */
  @Query("select max(turn) from run where owner = :owner and priority = :priority")
  Optional<Long> lastTurn(String owner, int priority);

  @Query("select id from run where id in (:ids) and cancel_requested")
  List<String> cancelRequested(Collection<String> ids);

  @Query("update run set last_sequence = :lastSequence where id = :id")
  void told(String id, long lastSequence);

  @Query("update run set cancel_requested = true where id = :id")
  void requestCancel(String id);

  /** What the run came to so far. */
  @Query(
      """
      update run set iteration = :iteration, reward_queries = :rewardQueries,
        reward_before = :rewardBefore, reward_now = :rewardNow,
        kl_per_trajectory = :klPerTrajectory, export_sha256 = :exportSha256
      where id = :id
      """)
  void progressed(
      String id,
      int iteration,
      int rewardQueries,
      @Nullable Double rewardBefore,
      @Nullable Double rewardNow,
      @Nullable Double klPerTrajectory,
      String exportSha256);

  /** A move that ends, or interrupts, what the run was in; the wish to cancel goes with it. */
  @Query(
      """
      update run set status = :status, reason_code = :reasonCode, reason = :reason,
        retry_at = :retryAt, ended_at = :endedAt, cancel_requested = false
      where id = :id
      """)
  void moved(
      String id,
      RunStatus status,
      String reasonCode,
      String reason,
      @Nullable Instant retryAt,
      @Nullable Instant endedAt);

  @Query("update run set turn = :turn where id = :id")
  void queued(String id, long turn);

  @Query(
      """
      update run set status = 'RUNNING', reason_code = '', reason = '', retry_at = null,
        ended_at = null, started_at = coalesce(started_at, :now), generation = :generation,
        orchestrator = :orchestrator
      where id = :id
      """)
  void claimed(String id, long generation, String orchestrator, Instant now);

  @Query("delete from run where id = :id")
  void remove(String id);
}
