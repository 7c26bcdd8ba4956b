package dev.vard.serve;

import dev.vard.reward.kind.RewardEnvironment;
import dev.vard.reward.kind.RewardKinds;
import dev.vard.run.Backoff;
import dev.vard.run.FencedException;
import dev.vard.run.KeptFormat;
import dev.vard.run.RunEnd;
import dev.vard.run.RunException;
import dev.vard.run.RunFolder;
import dev.vard.run.RunStatus;
import dev.vard.run.SupervisedRun;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecException;
import dev.vard.spec.SpecReader;
import dev.vard.store.RunStore;
import dev.vard.store.RunStore.Claim;
import dev.vard.store.StoreException;
import dev.vard.store.StoredRun;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs what the queue gives it, each run on a worker of the pool, until it ends, pauses, is
 * cancelled or the server stops.
 */
final class Dispatcher implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Dispatcher.class);
  private static final Duration FIRST_WAIT = Duration.ofSeconds(1);
  private static final Duration LONGEST_WAIT = Duration.ofMinutes(1);

  /**
   * How often things are done.
   *
   * @param cancel looks for wishes to stop a run, which others wrote into the database
   * @param reconcile compares the queue with the runs
   */
  record Pace(RunQueue.Pace queue, Duration cancel, Duration reconcile) {
    static final Pace DEFAULT =
        new Pace(RunQueue.Pace.DEFAULT, Duration.ofMillis(500), Duration.ofSeconds(5));
  }

  private final RunStore store;
  private final WorkerPool pool;
  private final RunFolders folders;
  private final SpecReader reader;
  private final EventFeed feed;
  private final String name;
  private final Pace pace;
  private final Clock clock;
  private final RunQueue queue;
  private final Map<String, Execution> executions = new ConcurrentHashMap<>();
  private final Map<String, Backoff> backoffs = new ConcurrentHashMap<>();
  private final ScheduledExecutorService housekeeping =
      Executors.newScheduledThreadPool(
          2, Thread.ofPlatform().name("vard-housekeeping-", 0).daemon().factory());
  private volatile boolean draining;
  private volatile boolean closed;

  /**
   * @param name of this orchestrator, and of no other
   */
  Dispatcher(
      RunStore store,
      DataSource dataSource,
      WorkerPool pool,
      RunFolders folders,
      SpecReader reader,
      EventFeed feed,
      String name,
      Pace pace,
      Clock clock) {
    this.store = store;
    this.pool = pool;
    this.folders = folders;
    this.reader = reader;
    this.feed = feed;
    this.name = name;
    this.pace = pace;
    this.clock = clock;
    this.queue =
        new RunQueue(
            store,
            dataSource,
            pool.size(),
            name,
            pace.queue(),
            clock,
            this::work,
            executions::containsKey);
  }

  void start() {
    folders.sweep(id -> store.find(id).isPresent());
    queue.start();
    every(pace.cancel(), this::lookForCancelled);
    every(pace.reconcile(), queue::reconcile);
  }

  /** A run was made, or moved by its owner. */
  void changed(StoredRun run) {
    feed.changed(run.id());
    if (run.cancelRequested()) {
      cancel(run.id());
    }
    try {
      queue.settle(run);
    } catch (RuntimeException e) {
      // The run's new status is written down, and that is what was asked for: reconciling mends it.
      LOG.warn("Run {} is not in the queue yet: {}", run.id(), e.toString());
    }
  }

  /** A run was deleted. */
  void deleted(String runId) {
    feed.changed(runId);
    backoffs.remove(runId);
    try {
      queue.forget(runId);
    } catch (RuntimeException e) {
      LOG.warn("Deleted run {} is still in the queue: {}", runId, e.toString());
    }
  }

  boolean draining() {
    return draining;
  }

  /** Runs in work here. */
  Set<String> executing() {
    return Set.copyOf(executions.keySet());
  }

  /**
   * Takes no more runs, and has those in work write a checkpoint and go back into the queue.
   *
   * @return whether all did, within the time; the others are taken up where they were last saved
   */
  boolean drain(Duration patience) throws InterruptedException {
    draining = true;
    queue.pause();
    executions.values().forEach(Execution::drain);
    long end = System.nanoTime() + patience.toNanos();
    while (!executions.isEmpty() && System.nanoTime() < end) {
      Thread.sleep(20);
    }
    return executions.isEmpty();
  }

  /** Lets go of what is still in work, as it is. */
  @Override
  public void close() {
    draining = true;
    closed = true;
    housekeeping.shutdownNow();
    executions.values().forEach(Execution::drain);
    queue.close();
  }

  private void every(Duration interval, Runnable job) {
    housekeeping.scheduleWithFixedDelay(
        () -> {
          try {
            job.run();
          } catch (RuntimeException e) {
            // The database is gone for a while, say. The next time is soon.
            LOG.debug("Housekeeping failed: {}", e.toString());
          }
        },
        interval.toMillis(),
        interval.toMillis(),
        TimeUnit.MILLISECONDS);
  }

  private void lookForCancelled() {
    Set<String> ids = executing();
    if (!ids.isEmpty()) {
      store.cancelRequested(ids).forEach(this::cancel);
    }
  }

  private void cancel(String runId) {
    Optional.ofNullable(executions.get(runId)).ifPresent(Execution::cancel);
  }

  /** On a thread of the queue. */
  private RunQueue.Work.Outcome work(String runId) {
    if (draining) {
      return RunQueue.Work.Outcome.LATER;
    }
    Execution execution = new Execution();
    if (executions.putIfAbsent(runId, execution) != null) {
      // An execution that counted as dead still lets go of it.
      return RunQueue.Work.Outcome.LATER;
    }
    try {
      Optional<Claim> claim = store.claim(runId, name);
      feed.changed(runId);
      if (claim.isPresent()) {
        RunEnd end = execution.run(claim.get());
        conclude(claim.get(), end);
        release(claim.get(), end);
        feed.changed(runId);
        conclude(claim.get(), end);
      }
      return RunQueue.Work.Outcome.SETTLED;
    } catch (FencedException e) {
      LOG.warn("Run {} is another orchestrator's now: {}", runId, e.getMessage());
      return RunQueue.Work.Outcome.LOST;
    } finally {
      executions.remove(runId);
    }
  }

  /**
   * Leaves the folder of a run that has ended as its owner wants it. Before the run is let go: who
   * sees that it has ended, finds its report; and after it, for the metrics' last line.
   */
  private void conclude(Claim claim, RunEnd end) {
    if (end.status().ended()) {
      String runId = claim.run().id();
      try {
        RunFolder.of(folders.of(runId), runId).conclude(claim.journal());
      } catch (RunException | StoreException e) {
        LOG.warn(
            "The metrics and the report of run {} are not up to date: {}", runId, e.toString());
      }
    }
  }

  /** What the run came to must not be lost because the database is away just now. */
  private void release(Claim claim, RunEnd end) {
    for (int tries = 0; ; tries++) {
      try {
        StoredRun run = store.release(claim, end);
        if (run.status().ended()) {
          backoffs.remove(run.id());
        }
        if (run.reason().isEmpty()) {
          LOG.info("Run {} is {}", run.id(), run.status());
        } else {
          LOG.warn("Run {} is {}: {}", run.id(), run.status(), run.reason());
        }
        return;
      } catch (StoreException e) {
        if (e.kind() != StoreException.Kind.UNAVAILABLE || closed) {
          throw e;
        }
        if (tries == 0) {
          LOG.warn("Run {} waits for the database, to become {}", claim.run().id(), end.status());
        }
        try {
          Thread.sleep(FIRST_WAIT.toMillis());
        } catch (InterruptedException interrupted) {
          Thread.currentThread().interrupt();
          throw e;
        }
      }
    }
  }

  private static RunEnd end(RunStatus status, String code, String reason) {
    return new RunEnd(status, code, reason, Optional.empty(), Optional.empty());
  }

  /** A run in work, on its thread. */
  private final class Execution {
    private final Thread thread = Thread.currentThread();

    /** While the thread may be interrupted: not while it talks to the database about its end. */
    private Optional<SupervisedRun> supervised = Optional.empty();

    private boolean cancelled;

    RunEnd run(Claim claim) {
      String runId = claim.run().id();
      RunSpec spec;
      try {
        String kept = KeptFormat.readable(claim.run().specification());
        spec = reader.read(kept, "specification", Path.of(""), List.of());
      } catch (RunException e) {
        return end(RunStatus.PAUSED, e.code(), e.getMessage());
      } catch (SpecException e) {
        // It was good when the run was made: a model's folder is gone, or no longer allowed.
        return end(RunStatus.PAUSED, "SPECIFICATION", e.getMessage());
      }
      RunFolder folder = RunFolder.of(folders.of(runId), runId);
      try (WorkerPool.Lease lease = pool.lease(spec.threads())) {
        return supervise(
            new SupervisedRun(
                spec,
                () -> new RewardKinds(RewardEnvironment.of(folder.rewardLog())).open(spec.reward()),
                folder,
                new ToldJournal(claim.journal(), () -> feed.changed(runId)),
                lease,
                backoffs.computeIfAbsent(
                    runId,
                    id -> new Backoff(FIRST_WAIT, LONGEST_WAIT, RandomGenerator.getDefault())),
                clock));
      }
    }

    private RunEnd supervise(SupervisedRun run) {
      synchronized (this) {
        if (cancelled) {
          return end(RunStatus.CANCELLED, RunException.CANCELLED, "told to stop");
        }
        supervised = Optional.of(run);
      }
      if (draining) {
        run.drain();
      }
      try {
        return run.run();
      } catch (FencedException | StoreException e) {
        throw e;
      } catch (RuntimeException e) {
        LOG.error("A defect of vard ended a run", e);
        return end(
            RunStatus.FAILED,
            "INTERNAL",
            "this is a defect of vard, please report it with the server's log: " + e);
      } finally {
        synchronized (this) {
          supervised = Optional.empty();
          // A wish that came too late must not hit what the thread does next.
          Thread.interrupted();
        }
      }
    }

    synchronized void cancel() {
      cancelled = true;
      if (supervised.isPresent()) {
        thread.interrupt();
      }
    }

    synchronized void drain() {
      supervised.ifPresent(SupervisedRun::drain);
    }
  }
}
