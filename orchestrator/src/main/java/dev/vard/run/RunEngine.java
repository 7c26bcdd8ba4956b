package dev.vard.run;

import dev.vard.algorithm.Action;
import dev.vard.algorithm.Algorithm;
import dev.vard.algorithm.AlgorithmState;
import dev.vard.algorithm.NotFiniteException;
import dev.vard.algorithm.Progress;
import dev.vard.algorithm.Step;
import dev.vard.proto.v1.DescribeRequest;
import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.SessionDescription;
import dev.vard.reward.RewardException;
import dev.vard.reward.Rewards;
import dev.vard.run.RunEvent.Evaluated;
import dev.vard.run.RunEvent.Phase;
import dev.vard.spec.RunSpec;
import dev.vard.statistics.Interval;
import dev.vard.worker.WorkerClient;
import dev.vard.worker.WorkerException;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Does what the algorithm asks for, one action after the other, until it is finished. The one place
 * that knows the loop. For one attempt at a run, used by one thread.
 *
 * <p>Exact resume: the journal has the state after each step that counts, and every reward answer.
 * An attempt takes the newest checkpoint, asks the worker again for the changes since then, with
 * the same requests and so to the same bits, asks no reward and tells no event a second time, and
 * goes on from the journal's state.
 */
final class RunEngine {
  private static final Logger LOG = LoggerFactory.getLogger(RunEngine.class);

  /**
   * Why an attempt is not the first.
   *
   * @param code as {@code WORKER_UNAVAILABLE}
   */
  record Cause(String code, String reason) {}

  private final RunSpec spec;
  private final WorkerClient worker;
  private final RunFolder folder;
  private final RunJournal journal;
  private final RunListener listener;
  private final Clock clock;
  private final Requests requests;
  private final Sampling sampling;
  private final Actions actions;
  private final Checkpoints checkpoints;
  private final RewardWatch watch;

  private Actions.Task current = Actions.OPENING;

  /** Whether the worker has answered in this attempt. */
  private boolean met;

  private boolean open;
  private boolean saving;
  private long lastCommit = System.nanoTime();
  private long lastCheckpoint;

  /**
   * @param attempt how often the run was begun since it was claimed, this time included
   * @param deadlines of the run, learnt in earlier attempts too
   */
  RunEngine(
      RunSpec spec,
      WorkerClient worker,
      Rewards rewards,
      RunFolder folder,
      RunJournal journal,
      int attempt,
      Deadlines deadlines,
      RunListener listener,
      Clock clock) {
    this.spec = spec;
    this.worker = worker;
    this.folder = folder;
    this.journal = journal;
    this.listener = listener;
    this.clock = clock;
    this.requests = new Requests(folder.runId(), journal.generation(), attempt, spec);
    this.sampling =
        new Sampling(worker, rewards, spec::due, folder, journal, deadlines, listener, clock);
    this.actions = new Actions(worker, requests, sampling, folder, deadlines, listener);
    this.checkpoints = new Checkpoints(worker, requests, folder, journal, spec.checkpoint().keep());
    this.watch =
        new RewardWatch(
            spec,
            rewards.parts(),
            journal,
            round -> sampling.answered(round, spec.algorithm().samples()));
  }

  /**
   * Runs to the end.
   *
   * @param cause why it has to go on; empty for a run that begins, or was stopped in good order
   * @throws RunException if this attempt did not reach it; what could be saved was. With the
   *     thread's interrupt status set if it was told to stop.
   * @throws FencedException if somebody else has the run now
   */
  RunResult run(Optional<Cause> cause) {
    try {
      return train(Algorithm.of(spec), cause);
    } catch (WorkerException e) {
      throw stopped(RunException.of(doing(), e, met));
    } catch (RewardException e) {
      throw stopped(RunException.of(doing(), e));
    } catch (NotFiniteException e) {
      throw stopped(RunException.of(doing(), e));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw stopped(RunException.cancelled(doing(), e));
    } catch (CancellationException e) {
      throw stopped(RunException.cancelled(doing(), e));
    } catch (RunException e) {
      throw stopped(e);
    } finally {
      close();
    }
  }

  private <S extends AlgorithmState> RunResult train(Algorithm<S> algorithm, Optional<Cause> cause)
      throws InterruptedException {
    RunState state =
        journal
            .state()
            .orElseGet(
                () ->
                    commit(
                        RunState.start(algorithm.start()),
                        RunEvent.opening(spec, folder, clock.instant())));
    folder.writeMetrics(journal.events());
    if (state.result().isPresent()) {
      return state.result().get();
    }
    phase(0, Phase.OPEN);
    recover(algorithm, state, cause);
    while (true) {
      current =
          actions.of(algorithm, algorithm.action(algorithm.stateType().cast(state.algorithm())));
      if (current.action() instanceof Action.Finish finish) {
        return finish(state, finish).result().orElseThrow();
      }
      stopIfInterrupted();
      state = step(algorithm, state, current.first().in(state));
      if (checkpointIsDue(state)) {
        checkpoint(state, Deadlines.SAVE);
      }
    }
  }

  // ------------------------------------------------------------------------------- going on

  /** Makes a session that is where the state is. */
  private <S extends AlgorithmState> void recover(
      Algorithm<S> algorithm, RunState goal, Optional<Cause> cause) throws InterruptedException {
    endOldSessions();
    met = true;
    Checkpoints.Restored restored = checkpoints.restore();
    open = true;
    SessionCheck.of(spec, restored.session());
    RunState from =
        restored.from().map(Checkpoint::state).orElseGet(() -> RunState.start(algorithm.start()));
    lastCheckpoint = from.step();
    boolean same = replay(algorithm, from, goal);
    List<String> remarks = new ArrayList<>(restored.damaged());
    if (!same) {
      remarks.add(
          "what was repeated differs in its last bits: the worker's machine or threads are others");
    }
    if (cause.isPresent() || !remarks.isEmpty()) {
      cause.map(Cause::reason).ifPresent(reason -> remarks.addFirst(reason));
      tell(
          new RunEvent.Recovered(
              from.algorithm().progress().iterationsDone(),
              cause.map(Cause::code).orElse("CHECKPOINT"),
              String.join("; ", remarks),
              journal.generation()));
    }
    // What was repeated took time, but that is not the next step's.
    lastCommit = System.nanoTime();
  }

  /** A worker that outlived an attempt may still hold its session, and be at its last request. */
  private void endOldSessions() {
    for (SessionDescription session :
        worker
            .describe(DescribeRequest.getDefaultInstance(), Deadlines.DESCRIBE)
            .getSessionsList()) {
      if (requests.isOurs(session.getSessionId())) {
        worker.close(requests.close(session.getSessionId()), Deadlines.CLOSE);
      }
    }
  }

  /**
   * Repeats the changes between two states on the worker.
   *
   * @return whether they came to the same
   */
  private <S extends AlgorithmState> boolean replay(
      Algorithm<S> algorithm, RunState from, RunState goal) throws InterruptedException {
    S state = algorithm.stateType().cast(from.algorithm());
    for (long step = from.step(); step < goal.step(); step++) {
      current = actions.of(algorithm, algorithm.action(state));
      stopIfInterrupted();
      state = algorithm.next(state, current.again().come());
    }
    return state.equals(goal.algorithm());
  }

  private boolean checkpointIsDue(RunState state) {
    Progress progress = state.algorithm().progress();
    int done = progress.iterationsDone();
    boolean last = progress.step() == Step.FINISH;
    return journal.durable()
        && done > 0
        && (last || progress.step() == Step.COLLECT && done % spec.checkpoint().every() == 0);
  }

  private void checkpoint(RunState state, Duration deadline) {
    saving = true;
    sampling.keepPending();
    RunEvent.Checkpointed event = checkpoints.save(state, deadline);
    saving = false;
    lastCheckpoint = state.step();
    listener.onEvent(event);
  }

  // ------------------------------------------------------------------------------- going forward

  private <S extends AlgorithmState> RunState step(
      Algorithm<S> algorithm, RunState state, Actions.Performed done) {
    S next = algorithm.next(algorithm.stateType().cast(state.algorithm()), done.outcome());
    PhaseSeconds seconds = done.seconds().withTotal(sinceLastCommit());
    IterationMetrics iteration = done.iteration().after(seconds);
    List<RunEvent> events = new ArrayList<>();
    done.evaluated().ifPresent(events::add);
    events.addAll(watch.after(current.action(), done.outcome()));
    if (endsIteration(state.algorithm().progress(), next.progress())
        && !iteration.rewards().isEmpty()) {
      events.add(iterationFinished(iteration, next.progress().rewardQueries()));
    }
    return commit(
        new RunState(
            state.step() + 1,
            next,
            state.first().or(done::evaluated),
            done.evaluated().or(state::last),
            iteration,
            state.seconds().plus(seconds),
            Optional.empty()),
        events);
  }

  private RunState finish(RunState state, Action.Finish action) throws InterruptedException {
    stopIfInterrupted();
    phase(action.iteration(), Phase.EXPORT);
    String sha256 = worker.export(requests.export(folder.export()), Deadlines.EXPORT).getSha256();
    PhaseSeconds seconds = state.seconds().plus(PhaseSeconds.NONE.withTotal(sinceLastCommit()));
    Progress progress = state.algorithm().progress();
    Evaluated last = state.last().orElseThrow();
    RunResult result =
        new RunResult(
            folder.runId(),
            progress.iteration(),
            progress.rewardQueries(),
            progress.evaluationQueries(),
            state.first().orElseThrow().reward(),
            last.reward(),
            last.klPerTrajectory(),
            seconds,
            folder.export().toString(),
            sha256);
    return commit(
        new RunState(
            state.step() + 1,
            state.algorithm(),
            state.first(),
            state.last(),
            state.iteration(),
            seconds,
            Optional.of(result)),
        List.of(new RunEvent.Finished(result)));
  }

  /** Written down first, told then. */
  private RunState commit(RunState state, List<RunEvent> events) {
    journal.commit(state, events);
    lastCommit = System.nanoTime();
    events.forEach(listener::onEvent);
    return state;
  }

  private void tell(RunEvent event) {
    journal.tell(List.of(event));
    listener.onEvent(event);
  }

  private double sinceLastCommit() {
    return PhaseSeconds.since(lastCommit);
  }

  private static void stopIfInterrupted() throws InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException();
    }
  }

  private static boolean endsIteration(Progress before, Progress after) {
    return before.step() != Step.EVALUATE
        && (after.step() == Step.EVALUATE || after.iteration() > before.iteration());
  }

  private RunEvent.IterationFinished iterationFinished(
      IterationMetrics iteration, int rewardQueries) {
    return new RunEvent.IterationFinished(
        current.action().iteration(),
        iteration.policy().isEmpty() ? "warmup" : "train",
        rewardQueries,
        Interval.of(iteration.rewards()),
        iteration.value(),
        iteration.policy(),
        iteration.seconds(),
        iteration.scoring());
  }

  // ------------------------------------------------------------------------------- stopping

  /** Saves what there is: a checkpoint if the run can be gone on with, and the adapter as it is. */
  private RunException stopped(RunException e) {
    // What is left to do is short, and must not be cancelled by the wish that is being granted.
    boolean interrupted = Thread.interrupted();
    try {
      if (open) {
        Optional<RunState> state = journal.state();
        if (e.cancelled()
            && state.isPresent()
            && journal.durable()
            && state.get().step() > lastCheckpoint) {
          checkpoint(state.get(), Deadlines.LAST_SAVE);
        }
        // What failed its check is not to lie there as the run's result.
        if (!e.code().equals(ErrorCode.INCONSISTENT.name())) {
          worker.export(requests.lastExport(folder.export()), Deadlines.LAST_EXPORT);
        }
      }
    } catch (RuntimeException also) {
      e.addSuppressed(also);
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return e;
  }

  private void close() {
    sampling.close();
    if (!open) {
      return;
    }
    boolean interrupted = Thread.interrupted();
    try {
      worker.close(requests.close(), Deadlines.CLOSE);
    } catch (WorkerException e) {
      LOG.debug("The session was not closed; it ends with its worker.", e);
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void phase(int iteration, Phase phase) {
    listener.onEvent(new RunEvent.PhaseStarted(iteration, phase));
  }

  /** For errors: what was going on. */
  private String doing() {
    return saving ? "while writing a checkpoint" : current.doing();
  }
}
