package dev.vard.store;

import dev.vard.run.FencedException;
import dev.vard.run.RunEnd;
import dev.vard.run.RunEvent;
import dev.vard.run.RunStatus;
import dev.vard.store.StoreException.Kind;
import io.micronaut.context.annotation.Requires;
import io.micronaut.data.exceptions.DataAccessException;
import io.micronaut.data.jdbc.runtime.JdbcOperations;
import jakarta.inject.Singleton;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.time.Instant;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import javax.sql.DataSource;

/**
 * The store on H2 or PostgreSQL. A run's row is locked before anything is decided about the run, so
 * what is decided still holds when it is written.
 */
@Singleton
@Requires(beans = DataSource.class)
final class JdbcRunStore implements RunStore {
  private static final Set<RunStatus> ACTIVE =
      EnumSet.of(RunStatus.WAITING, RunStatus.RUNNING, RunStatus.PAUSED);

  /** Of a unique key, in both databases. */
  private static final String DUPLICATE = "23505";

  private final RunTables tables;
  private final RunRepository runs;
  private final QueueRepository queue;
  private final AuditRepository audit;
  private final JdbcOperations jdbc;
  private final Transactions transactions;
  private final Patience patience;

  JdbcRunStore(
      RunTables tables,
      QueueRepository queue,
      AuditRepository audit,
      JdbcOperations jdbc,
      Transactions transactions,
      Patience patience,
      Schema schema) {
    schema.check();
    this.tables = tables;
    this.runs = tables.runs();
    this.queue = queue;
    this.audit = audit;
    this.jdbc = jdbc;
    this.transactions = transactions;
    this.patience = patience;
  }

  @Override
  public StoredRun create(NewRun run) {
    try {
      return transactions.write(() -> sameRequest(run).orElseGet(() -> insert(run)));
    } catch (DataAccessException e) {
      if (!duplicate(e)) {
        throw e;
      }
      // The same request came in twice at once, and the other was first; or the id is taken.
      return transactions
          .read(() -> sameRequest(run))
          .orElseThrow(
              () ->
                  new StoreException(
                      Kind.CONFLICT, "there is a run " + run.id() + "; take another id", e));
    }
  }

  private Optional<StoredRun> sameRequest(NewRun run) {
    if (run.requestId().isEmpty()) {
      return Optional.empty();
    }
    Optional<RunRow> same = runs.findByOwnerAndRequestId(run.owner(), run.requestId());
    if (same.isPresent() && !same.get().requestDigest().equals(run.requestDigest())) {
      throw new StoreException(
          Kind.CONFLICT,
          "request id "
              + run.requestId()
              + " was used for another request, which made run "
              + same.get().id()
              + "; take a new id for a new request");
    }
    return same.map(this::stored);
  }

  private StoredRun insert(NewRun run) {
    runs.save(RunRow.waiting(run, nextTurn(run.owner(), run.priority()), tables.now()));
    runs.saveSpecification(run.id(), run.specification());
    tables.append(run.id(), 0, List.of(moved(Optional.empty(), RunStatus.WAITING, "", "")));
    return stored(run.id());
  }

  /** Turns of a priority are given one after the other: the queue's row is locked. */
  private long nextTurn(String owner, int priority) {
    queue.ensure(priority);
    long virtualTime = queue.lock(priority);
    return Math.max(virtualTime, runs.lastTurn(owner, priority).map(turn -> turn + 1).orElse(0L));
  }

  @Override
  public Optional<StoredRun> find(String id) {
    return transactions.read(() -> runs.findById(id).map(this::stored));
  }

  @Override
  public Optional<StoredRun> findByRequest(String owner, String requestId) {
    return transactions.read(
        () -> runs.findByOwnerAndRequestId(owner, requestId).map(this::stored));
  }

  @Override
  public List<StoredRun> list(RunQuery query) {
    RunListing listing = RunListing.of(query);
    return transactions.read(
        () ->
            jdbc.prepareStatement(
                listing.sql(),
                statement -> {
                  listing.bind(statement);
                  return jdbc.entityStream(statement.executeQuery(), RunRow.class)
                      .map(row -> row.with(""))
                      .toList();
                }));
  }

  @Override
  public int active(String owner) {
    return transactions.read(() -> runs.countByOwnerAndStatusIn(owner, ACTIVE));
  }

  @Override
  public List<StoredRun> queue(Set<RunStatus> statuses) {
    if (statuses.isEmpty()) {
      return List.of();
    }
    return transactions.read(() -> runs.queue(statuses)).stream().map(row -> row.with("")).toList();
  }

  @Override
  public int position(StoredRun run) {
    if (run.status() != RunStatus.WAITING) {
      return 0;
    }
    return transactions.read(
        () -> runs.countBefore(run.priority(), run.turn(), run.createdAt(), run.id()));
  }

  @Override
  public StoredRun cancel(String id) {
    return transactions.write(
        () -> {
          RunRow run = lock(id);
          switch (run.status()) {
            // A paused one keeps its reason: it is what whoever resumes the run has to mend.
            case WAITING, PAUSED ->
                move(run, RunStatus.CANCELLED, run.reasonCode(), run.reason(), Optional.empty());
            case RUNNING -> runs.requestCancel(id);
            case CANCELLED -> {}
            case FAILED, DONE -> throw illegal(run, "cancelled");
          }
          return stored(id);
        });
  }

  @Override
  public StoredRun resume(String id) {
    return transactions.write(
        () -> {
          RunRow run = lock(id);
          switch (run.status()) {
            case PAUSED, CANCELLED, FAILED -> {
              move(run, RunStatus.WAITING, "", "", Optional.empty());
              runs.queued(id, nextTurn(run.owner(), run.priority()));
            }
            case WAITING, RUNNING -> {}
            case DONE -> throw illegal(run, "resumed");
          }
          return stored(id);
        });
  }

  @Override
  public Optional<Claim> claim(String id, String orchestrator) {
    return transactions.write(() -> runs.lock(id).flatMap(run -> claim(run, orchestrator)));
  }

  private Optional<Claim> claim(RunRow run, String orchestrator) {
    List<RunEvent.StateChanged> moves =
        switch (run.status()) {
          case WAITING -> List.of(to(run, RunStatus.RUNNING, "", ""));
          case RUNNING ->
              run.cancelRequested()
                  ? List.of()
                  : List.of(
                      to(
                          run,
                          RunStatus.RUNNING,
                          "RESTARTED",
                          run.orchestrator() + " ended without letting go of the run"));
          case PAUSED ->
              run.retryAt() == null || tables.now().isBefore(run.retryAt())
                  ? List.of()
                  : List.of(
                      to(run, RunStatus.WAITING, "", ""),
                      moved(Optional.of(RunStatus.WAITING), RunStatus.RUNNING, "", ""));
          case CANCELLED, FAILED, DONE -> List.of();
        };
    if (run.status() == RunStatus.RUNNING && run.cancelRequested()) {
      // Whoever had it ended before it saw the wish. Nothing has to be started for it to be
      // granted.
      move(run, RunStatus.CANCELLED, "", "", Optional.empty());
    }
    if (moves.isEmpty()) {
      return Optional.empty();
    }
    queue.claimed(run.priority(), run.turn());
    runs.claimed(run.id(), run.generation() + 1, orchestrator, tables.now());
    tables.append(run.id(), run.lastSequence(), moves);
    RunRow claimed = runs.findById(run.id()).orElseThrow();
    return Optional.of(
        new Claim(stored(claimed), new JdbcRunJournal(tables, transactions, patience, claimed)));
  }

  @Override
  public StoredRun release(Claim claim, RunEnd end) {
    if (end.status() == RunStatus.RUNNING) {
      throw new IllegalArgumentException("a run that is let go does not go on running");
    }
    String id = claim.run().id();
    return transactions.write(
        () -> {
          RunRow run =
              runs.lock(id).orElseThrow(() -> new FencedException("run " + id + " was deleted"));
          JdbcRunJournal.claimed(run, claim.journal().generation());
          if (run.status() == RunStatus.RUNNING) {
            release(run, end);
          }
          return stored(id);
        });
  }

  private void release(RunRow run, RunEnd end) {
    switch (end.status()) {
      case WAITING, PAUSED -> {
        if (run.cancelRequested()) {
          move(run, RunStatus.CANCELLED, end.code(), end.reason(), Optional.empty());
        } else {
          move(run, end.status(), end.code(), end.reason(), end.retryAt());
        }
      }
      case RUNNING, CANCELLED, FAILED, DONE ->
          move(run, end.status(), end.code(), end.reason(), Optional.empty());
    }
  }

  @Override
  public Set<String> cancelRequested(Set<String> ids) {
    if (ids.isEmpty()) {
      return Set.of();
    }
    return transactions.read(() -> new HashSet<>(runs.cancelRequested(ids)));
  }

  @Override
  public List<StoredEvent> events(String runId, long after, int limit) {
    return transactions.read(() -> tables.events().after(runId, after, limit)).stream()
        .map(EventRepository.EventRow::event)
        .toList();
  }

  @Override
  public void delete(String id) {
    transactions.write(
        () -> {
          RunRow run = lock(id);
          if (run.status() == RunStatus.RUNNING) {
            throw illegal(run, "deleted");
          }
          runs.remove(id);
        });
  }

  @Override
  public void audit(AuditEntry entry) {
    transactions.write(
        () -> {
          audit.save(AuditRepository.AuditRow.of(entry));
        });
  }

  @Override
  public List<AuditEntry> audited(int limit) {
    return transactions.read(() -> audit.newest(limit)).stream()
        .map(AuditRepository.AuditRow::entry)
        .toList();
  }

  @Override
  public void probe() {
    Timestamp now = Timestamp.from(tables.now());
    transactions.write(
        () ->
            jdbc.prepareStatement(
                "update probe set written_at = ? where id = 1",
                statement -> {
                  statement.setTimestamp(1, now);
                  return statement.executeUpdate();
                }));
  }

  private RunRow lock(String id) {
    return runs.lock(id)
        .orElseThrow(() -> new StoreException(Kind.NOT_FOUND, "there is no run " + id));
  }

  private void move(
      RunRow run, RunStatus to, String code, String reason, Optional<Instant> retryAt) {
    RunEvent.StateChanged move = to(run, to, code, reason);
    runs.moved(run.id(), to, code, reason, retryAt.orElse(null), to.ended() ? tables.now() : null);
    tables.append(run.id(), run.lastSequence(), List.of(move));
  }

  private static RunEvent.StateChanged to(RunRow run, RunStatus to, String code, String reason) {
    if (!run.status().next().contains(to)) {
      throw illegal(run, to.name());
    }
    return moved(Optional.of(run.status()), to, code, reason);
  }

  private static RunEvent.StateChanged moved(
      Optional<RunStatus> from, RunStatus to, String code, String reason) {
    return new RunEvent.StateChanged(from, to, code, reason);
  }

  private static StoreException illegal(RunRow run, String what) {
    return new StoreException(
        Kind.ILLEGAL_MOVE, "run %s is %s and cannot be %s".formatted(run.id(), run.status(), what));
  }

  private StoredRun stored(String id) {
    return stored(runs.findById(id).orElseThrow());
  }

  private StoredRun stored(RunRow row) {
    return row.with(runs.specification(row.id()));
  }

  private static boolean duplicate(Throwable e) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof SQLException sql && DUPLICATE.equals(sql.getSQLState())) {
        return true;
      }
    }
    return false;
  }
}
