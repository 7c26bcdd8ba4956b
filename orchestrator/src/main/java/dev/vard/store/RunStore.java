package dev.vard.store;

import dev.vard.run.FencedException;
import dev.vard.run.RunEnd;
import dev.vard.run.RunJournal;
import dev.vard.run.RunStatus;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The runs of all orchestrators that share a database. Thread-safe. Everything that changes
 * something is one transaction, and appends its own {@code state_changed} event. Failures are
 * {@link StoreException}s.
 */
public interface RunStore {

  /**
   * Puts a run into the queue, or gives the run that the same request made before.
   *
   * <p>Its turn follows start-time fair queueing (Goyal, Vin and Cheng, 1996), with a run as the
   * unit: the larger of one more than the owner's last turn and the largest turn that was claimed,
   * both among the runs of this priority. So owners take turns, however many runs one of them asks
   * for, and nobody saves up turns.
   *
   * @throws StoreException CONFLICT, if the owner used the request id for another request, or if
   *     there is another run of this id
   */
  StoredRun create(NewRun run);

  Optional<StoredRun> find(String id);

  /** The run that a request of an owner made. */
  Optional<StoredRun> findByRequest(String owner, String requestId);

  /** Without their specifications, which may be large. */
  List<StoredRun> list(RunQuery query);

  /** Runs of an owner that have not ended: waiting, running or paused. */
  int active(String owner);

  /**
   * The runs with one of these statuses, in the order in which they are to be claimed. Without
   * their specifications, which may be large.
   */
  List<StoredRun> queue(Set<RunStatus> statuses);

  /** How many runs are waiting that come before a waiting run. */
  int position(StoredRun run);

  /**
   * Asks for a run to stop: a waiting or paused one is cancelled at once; of a running one the wish
   * is noted, for its orchestrator to see. Of a cancelled one nothing changes.
   *
   * @throws StoreException NOT_FOUND, ILLEGAL_MOVE
   */
  StoredRun cancel(String id);

  /**
   * Back into the queue, with a new turn; of a waiting or running one nothing changes.
   *
   * @throws StoreException NOT_FOUND, ILLEGAL_MOVE
   */
  StoredRun resume(String id);

  /**
   * A run begins, or is gone on with: WAITING, or RUNNING under an orchestrator that is no more, or
   * PAUSED with a time to try again that has come, becomes RUNNING, with a new generation. One that
   * somebody wanted to stop, and whose orchestrator did not live to see it, is cancelled instead.
   *
   * @return the run, and what it is to write to; empty if it is not to be run (any more)
   */
  Optional<Claim> claim(String id, String orchestrator);

  /** A run that is ours, until somebody else claims it. */
  record Claim(StoredRun run, RunJournal journal) {}

  /**
   * A claimed run is let go. A drained one ({@code WAITING}) keeps its turn. One that would wait or
   * pause though somebody wanted it to stop is cancelled. Once more changes nothing, so it may be
   * tried again after UNAVAILABLE.
   *
   * @throws FencedException if somebody else claimed it, or it was deleted
   */
  StoredRun release(Claim claim, RunEnd end);

  /** The runs among these whose owner wants them to stop. */
  Set<String> cancelRequested(Set<String> ids);

  /** A run's events after a sequence number, in order. */
  List<StoredEvent> events(String runId, long after, int limit);

  /**
   * Forgets a run and all that belongs to it.
   *
   * @throws StoreException NOT_FOUND; ILLEGAL_MOVE while it is running
   */
  void delete(String id);

  /** Writes down who asked for what, and what came of it. */
  void audit(AuditEntry entry);

  /** The newest entries, newest first. */
  List<AuditEntry> audited(int limit);

  /**
   * @param who owner of the token or certificate
   * @param peer network address
   * @param action as {@code CreateRun}
   * @param target the run's id, where there is one
   * @param outcome as {@code OK} or {@code NOT_FOUND}
   */
  record AuditEntry(
      Instant time, String who, String peer, String action, String target, String outcome) {}

  /** Fails with UNAVAILABLE unless the database can be read and written. */
  void probe();
}
