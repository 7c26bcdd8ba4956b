package dev.vard.run;

import dev.vard.reward.RewardException;
import dev.vard.reward.Rewards;
import dev.vard.run.RunException.Remedy;
import dev.vard.spec.RunSpec;
import dev.vard.worker.WorkerClient;
import dev.vard.worker.WorkerException;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A run with somebody who looks after it: attempt after attempt, with another worker where one is
 * lost, until the run ends or has to wait for something that is not a worker's to mend.
 *
 * <p>Interrupting the thread that runs cancels the run. Used once.
 */
public final class SupervisedRun {
  private static final Logger LOG = LoggerFactory.getLogger(SupervisedRun.class);

  private final RunSpec spec;
  private final Supplier<Rewards> rewards;
  private final RunFolder folder;
  private final RunJournal journal;
  private final WorkerSource workers;
  private final Backoff backoff;
  private final Clock clock;
  private final List<RunListener> listeners;
  private final Deadlines deadlines = new Deadlines();

  private final Object lock = new Object();
  private Optional<Thread> running = Optional.empty();
  private boolean draining;

  /**
   * @param rewards opens them, for this run alone
   * @param backoff between attempts, and between pauses; keep it for the run's next life in this
   *     process
   * @param listeners hear of everything, on the thread that runs
   */
  public SupervisedRun(
      RunSpec spec,
      Supplier<Rewards> rewards,
      RunFolder folder,
      RunJournal journal,
      WorkerSource workers,
      Backoff backoff,
      Clock clock,
      RunListener... listeners) {
    this.spec = spec;
    this.rewards = rewards;
    this.folder = folder;
    this.journal = journal;
    this.workers = workers;
    this.backoff = backoff;
    this.clock = clock;
    this.listeners = List.of(listeners);
  }

  /**
   * Runs. Blocks.
   *
   * @return how it let go of its worker; the journal does not know of it yet
   * @throws FencedException if somebody else has the run now
   */
  public RunEnd run() {
    synchronized (lock) {
      if (draining) {
        return drained();
      }
      running = Optional.of(Thread.currentThread());
    }
    try (Rewards open = rewards.get()) {
      return attempts(open);
    } catch (RunException e) {
      // Before the first attempt: what the run has to go on from cannot be read.
      return end(e.remedy(), e, e.getMessage());
    } catch (RewardException e) {
      return opened(RunException.of("while the reward was opened", e));
    } finally {
      synchronized (lock) {
        running = Optional.empty();
        // A wish that came too late must not hit what the thread does next.
        Thread.interrupted();
      }
    }
  }

  /** Stops the run in good order, for somebody to go on with: it ends as {@code WAITING}. */
  public void drain() {
    synchronized (lock) {
      draining = true;
      running.ifPresent(Thread::interrupt);
    }
  }

  private RunEnd attempts(Rewards open) {
    Optional<RunEngine.Cause> cause = firstCause();
    Attempts attempts = new Attempts();
    for (int attempt = 1; ; attempt++) {
      long before = step();
      RunException problem;
      try {
        RunResult result = attempt(open, attempt, cause);
        backoff.reset();
        return new RunEnd(RunStatus.DONE, "", "", Optional.empty(), Optional.of(result));
      } catch (RunException e) {
        problem = e;
      } catch (FencedException e) {
        workers.discard();
        throw e;
      } catch (RuntimeException e) {
        // A journal that was told to stop while it waited for its database; else a defect.
        if (!Thread.currentThread().isInterrupted()) {
          workers.discard();
          throw e;
        }
        problem = RunException.cancelled("while the run was written down", e);
      }
      if (Thread.interrupted()) {
        return told(problem);
      }
      if (step() > before) {
        attempts.reset();
        backoff.reset();
      }
      if (problem.remedy() != Remedy.RESTART_WORKER) {
        return end(problem.remedy(), problem, problem.getMessage());
      }
      workers.discard();
      switch (attempts.after(problem)) {
        case NONE, LOOK -> {
          return end(problem.otherwise(), problem, attempts.reason(problem, workers.log()));
        }
        case WAIT -> {
          return pause(problem);
        }
        case RESTART_WORKER -> {
          LOG.info("Run {}: {}", folder.runId(), problem.getMessage());
          cause = Optional.of(new RunEngine.Cause(problem.code(), problem.getMessage()));
          try {
            Thread.sleep(backoff.next());
          } catch (InterruptedException e) {
            return told(RunException.cancelled("while a worker was waited for", e));
          }
        }
      }
    }
  }

  private RunResult attempt(Rewards open, int attempt, Optional<RunEngine.Cause> cause) {
    folder.prepare(spec, journal.state().isPresent());
    MetricsFile metrics = new MetricsFile(folder);
    RunListener listener =
        event -> {
          metrics.onEvent(event);
          listeners.forEach(one -> one.onEvent(event));
        };
    WorkerClient worker;
    try {
      worker = workers.acquire();
    } catch (WorkerException e) {
      throw RunException.of("while a worker was started", e, false);
    }
    return new RunEngine(spec, worker, open, folder, journal, attempt, deadlines, listener, clock)
        .run(cause);
  }

  /** A reward that is not there. */
  private RunEnd opened(RunException e) {
    if (Thread.interrupted()) {
      return told(RunException.cancelled("while the reward was opened", e));
    }
    return end(e.remedy(), e, e.getMessage());
  }

  /** A run that was claimed before and did not stop in good order lost its orchestrator. */
  private Optional<RunEngine.Cause> firstCause() {
    return journal.state().isPresent()
        ? Optional.of(new RunEngine.Cause("RESTARTED", "the run was taken up again"))
        : Optional.empty();
  }

  private long step() {
    return journal.state().map(RunState::step).orElse(-1L);
  }

  private RunEnd told(RunException e) {
    synchronized (lock) {
      return draining ? drained() : end(RunStatus.CANCELLED, e, e.getMessage());
    }
  }

  private static RunEnd drained() {
    return new RunEnd(RunStatus.WAITING, "", "", Optional.empty(), Optional.empty());
  }

  private RunEnd end(Remedy remedy, RunException e, String reason) {
    return switch (remedy) {
      case NONE -> end(RunStatus.FAILED, e, reason);
      case LOOK, RESTART_WORKER -> end(RunStatus.PAUSED, e, reason);
      case WAIT -> pause(e);
    };
  }

  private static RunEnd end(RunStatus status, RunException e, String reason) {
    return new RunEnd(status, e.code(), reason, Optional.empty(), Optional.empty(), Optional.of(e));
  }

  private RunEnd pause(RunException e) {
    Duration own = backoff.next();
    Duration wait = e.retryAfter().filter(wish -> wish.compareTo(own) > 0).orElse(own);
    return new RunEnd(
        RunStatus.PAUSED,
        e.code(),
        e.getMessage(),
        Optional.of(clock.instant().plus(wait)),
        Optional.empty(),
        Optional.of(e));
  }
}
