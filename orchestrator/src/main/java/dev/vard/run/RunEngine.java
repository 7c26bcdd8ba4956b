package dev.vard.run;

import dev.vard.algorithm.Action;
import dev.vard.algorithm.Algorithm;
import dev.vard.algorithm.AlgorithmState;
import dev.vard.algorithm.NotFiniteException;
import dev.vard.algorithm.Outcome;
import dev.vard.algorithm.Progress;
import dev.vard.algorithm.Step;
import dev.vard.proto.v1.DescribeRequest;
import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.EvaluateResponse;
import dev.vard.proto.v1.FitValueResponse;
import dev.vard.proto.v1.ImprovePolicyResponse;
import dev.vard.proto.v1.SessionDescription;
import dev.vard.reward.RewardException;
import dev.vard.reward.Rewards;
import dev.vard.run.RunEvent.Evaluated;
import dev.vard.run.RunEvent.Phase;
import dev.vard.run.RunEvent.SampleSeconds;
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
  private final Deadlines deadlines;
  private final Requests requests;
  private final Sampling sampling;
  private final Checkpoints checkpoints;
  private final RewardWatch watch;

  private Action current = new Action.Finish(0);

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
    this.deadlines = deadlines;
    this.requests = new Requests(folder.runId(), journal.generation(), attempt, spec);
    this.sampling =
        new Sampling(worker, rewards, spec::due, folder, journal, deadlines, listener, clock);
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
      current = algorithm.action(algorithm.stateType().cast(state.algorithm()));
      if (current instanceof Action.Finish finish) {
        return finish(state, finish).result().orElseThrow();
      }
      state = step(algorithm, state, perform(algorithm, current, state));
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
      current = algorithm.action(state);
      state = algorithm.next(state, repeat(algorithm, current));
    }
    return state.equals(goal.algorithm());
  }

  private Outcome repeat(Algorithm<?> algorithm, Action action) throws InterruptedException {
    stopIfInterrupted();
    return switch (action) {
      case Action.Evaluate evaluate ->
          new Outcome.Evaluated(
              sampling.answered(
                  new Round(Round.Kind.EVALUATE, evaluate.iteration()),
                  evaluate.trajectories().size()));
      case Action.Collect collect -> {
        // What was not answered yet is asked now; the rest is only drawn.
        sampling.collect(requests.sample(collect), collect.iteration(), collect.trajectories());
        yield new Outcome.Collected();
      }
      case Action.Score score ->
          new Outcome.Rewarded(
              sampling.score(score.round(), algorithm.trajectories(score.round())).rewards());
      case Action.AssessValue assess -> new Outcome.Assessed();
      case Action.FitValue fit -> {
        fitValue(fit);
        yield new Outcome.Fitted();
      }
      case Action.ImprovePolicy improve -> StepMetrics.outcome(improvePolicy(improve));
      case Action.Release release -> {
        worker.release(requests.release(release), Deadlines.RELEASE);
        yield new Outcome.Released();
      }
      case Action.Finish finish ->
          throw new IllegalStateException("a run that is finished is not gone on with");
    };
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

  /**
   * What an action came to.
   *
   * @param evaluated of an evaluation
   * @param iteration the iteration's metrics with the action's in them
   * @param seconds of the action; the total is added when it is committed
   */
  private record Performed(
      Outcome outcome,
      Optional<Evaluated> evaluated,
      IterationMetrics iteration,
      PhaseSeconds seconds) {}

  private <S extends AlgorithmState> RunState step(
      Algorithm<S> algorithm, RunState state, Performed done) {
    S next = algorithm.next(algorithm.stateType().cast(state.algorithm()), done.outcome());
    PhaseSeconds seconds = done.seconds().withTotal(sinceLastCommit());
    IterationMetrics iteration = done.iteration().after(seconds);
    List<RunEvent> events = new ArrayList<>();
    done.evaluated().ifPresent(events::add);
    events.addAll(watch.after(current, done.outcome()));
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
    return secondsSince(lastCommit);
  }

  private static double secondsSince(long nanos) {
    return (System.nanoTime() - nanos) / 1e9;
  }

  private static void stopIfInterrupted() throws InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException();
    }
  }

  private Performed perform(Algorithm<?> algorithm, Action action, RunState state)
      throws InterruptedException {
    stopIfInterrupted();
    IterationMetrics iteration = state.iteration();
    return switch (action) {
      case Action.Evaluate evaluate -> evaluate(evaluate, iteration);
      case Action.Collect collect -> collect(collect);
      case Action.Score score -> score(algorithm, score, iteration);
      case Action.AssessValue assess -> assess(assess, iteration);
      case Action.FitValue fit -> {
        if (state.algorithm().progress().step() == Step.AHEAD) {
          phase(fit.iteration(), Phase.VALUE);
        }
        yield fit(fit, iteration);
      }
      case Action.ImprovePolicy improve -> improve(improve, iteration);
      case Action.Release release -> {
        worker.release(requests.release(release), Deadlines.RELEASE);
        yield new Performed(new Outcome.Released(), Optional.empty(), iteration, PhaseSeconds.NONE);
      }
      case Action.Finish finish -> throw new IllegalStateException("finish() does this");
    };
  }

  private Performed evaluate(Action.Evaluate action, IterationMetrics iteration)
      throws InterruptedException {
    phase(action.iteration(), Phase.EVALUATE);
    folder.writeEvaluation(action.trajectories());
    Sampling.Evaluation evaluation =
        sampling.evaluate(
            requests.sample(action),
            action.iteration(),
            action.trajectories(),
            (index, image) -> folder.writeSample(action.iteration(), index, image));
    Sampling.Scores scores = evaluation.scores();
    List<Double> kls = evaluation.drawn().kls();
    SampleSeconds seconds =
        new SampleSeconds(evaluation.drawn().seconds(), scores.seconds(), scores.metrics().busy());
    Evaluated evaluated =
        new Evaluated(
            action.iteration(),
            Interval.of(scores.present()),
            scores.rewards(),
            StepMetrics.mean(kls, Double::doubleValue),
            kls,
            seconds,
            scores.metrics());
    return new Performed(
        new Outcome.Evaluated(scores.rewards()),
        Optional.of(evaluated),
        iteration,
        PhaseSeconds.of(seconds));
  }

  private Performed collect(Action.Collect action) {
    phase(action.iteration(), Phase.SAMPLE);
    Sampling.Drawn drawn =
        sampling.collect(requests.sample(action), action.iteration(), action.trajectories());
    return new Performed(
        new Outcome.Collected(),
        Optional.empty(),
        IterationMetrics.NONE,
        PhaseSeconds.ofSampling(drawn.seconds()));
  }

  private Performed score(Algorithm<?> algorithm, Action.Score action, IterationMetrics iteration)
      throws InterruptedException {
    phase(action.iteration(), Phase.SCORE);
    Sampling.Scores scores = sampling.score(action.round(), algorithm.trajectories(action.round()));
    return new Performed(
        new Outcome.Rewarded(scores.rewards()),
        Optional.empty(),
        iteration.with(scores.present(), scores.metrics()),
        PhaseSeconds.ofScoring(scores.seconds(), scores.metrics().busy()));
  }

  private Performed assess(Action.AssessValue action, IterationMetrics iteration) {
    phase(action.iteration(), Phase.VALUE);
    long start = System.nanoTime();
    int trajectories = action.targets().size();
    EvaluateResponse response =
        worker.evaluate(requests.assess(action), deadlines.assess(trajectories));
    deadlines.assessed(trajectories, Duration.ofNanos(System.nanoTime() - start));
    return new Performed(
        new Outcome.Assessed(),
        Optional.empty(),
        iteration.with(StepMetrics.of(response)),
        PhaseSeconds.ofValue(secondsSince(start)));
  }

  private Performed fit(Action.FitValue action, IterationMetrics iteration) {
    long start = System.nanoTime();
    FitValueResponse response = fitValue(action);
    return new Performed(
        new Outcome.Fitted(),
        Optional.empty(),
        iteration.with(StepMetrics.of(response, iteration.quality())),
        PhaseSeconds.ofValue(secondsSince(start)));
  }

  private Performed improve(Action.ImprovePolicy action, IterationMetrics iteration) {
    phase(action.iteration(), Phase.POLICY);
    long start = System.nanoTime();
    ImprovePolicyResponse response = improvePolicy(action);
    return new Performed(
        StepMetrics.outcome(response),
        Optional.empty(),
        iteration.with(StepMetrics.of(response, action.klWeight())),
        PhaseSeconds.ofPolicy(secondsSince(start)));
  }

  private FitValueResponse fitValue(Action.FitValue action) {
    long start = System.nanoTime();
    FitValueResponse response =
        worker.fitValue(requests.fit(action), deadlines.fit(action.steps(), action.batch()));
    deadlines.fitted(action.steps(), action.batch(), Duration.ofNanos(System.nanoTime() - start));
    return response;
  }

  private ImprovePolicyResponse improvePolicy(Action.ImprovePolicy action) {
    long start = System.nanoTime();
    ImprovePolicyResponse response =
        worker.improvePolicy(
            requests.improve(action), deadlines.improve(action.steps(), action.batch()));
    deadlines.improved(action.steps(), action.batch(), Duration.ofNanos(System.nanoTime() - start));
    return response;
  }

  private static boolean endsIteration(Progress before, Progress after) {
    return before.step() != Step.EVALUATE
        && (after.step() == Step.EVALUATE || after.iteration() > before.iteration());
  }

  private RunEvent.IterationFinished iterationFinished(
      IterationMetrics iteration, int rewardQueries) {
    return new RunEvent.IterationFinished(
        current.iteration(),
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
    if (!open) {
      return "while opening the model";
    }
    if (saving) {
      return "while writing a checkpoint";
    }
    String in = current.iteration() == 0 ? "" : " in iteration " + current.iteration();
    return switch (current) {
      case Action.Evaluate evaluate ->
          "while evaluating after " + evaluate.iteration() + " iterations";
      case Action.Collect collect -> "while sampling" + in;
      case Action.Score score -> "while the scores of iteration " + score.round() + " were awaited";
      case Action.AssessValue assess -> "while assessing the value" + in;
      case Action.FitValue fit -> "while fitting the value" + in;
      case Action.ImprovePolicy improve -> "while improving the policy" + in;
      case Action.Release release -> "while releasing trajectories" + in;
      case Action.Finish finish -> "while exporting";
    };
  }
}
