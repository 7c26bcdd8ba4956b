package dev.vard.run;

import dev.vard.algorithm.Action;
import dev.vard.algorithm.Algorithm;
import dev.vard.algorithm.AlgorithmState;
import dev.vard.algorithm.Outcome;
import dev.vard.algorithm.Progress;
import dev.vard.algorithm.Step;
import dev.vard.proto.v1.EvaluateResponse;
import dev.vard.proto.v1.FitValueResponse;
import dev.vard.proto.v1.ImprovePolicyResponse;
import dev.vard.proto.v1.PolicyStep;
import dev.vard.proto.v1.SessionDescription;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardScorer;
import dev.vard.run.RunEvent.Evaluated;
import dev.vard.run.RunEvent.Phase;
import dev.vard.run.RunEvent.PolicyMetrics;
import dev.vard.run.RunEvent.TimestepQuality;
import dev.vard.run.RunEvent.ValueMetrics;
import dev.vard.spec.AlgorithmSpec.DdpoSpec;
import dev.vard.spec.AlgorithmSpec.VardSpec;
import dev.vard.spec.EvaluateSpec;
import dev.vard.spec.KlSpec;
import dev.vard.spec.RunSpec;
import dev.vard.worker.WorkerClient;
import dev.vard.worker.WorkerException;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.CancellationException;
import java.util.function.ToDoubleFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Does what the algorithm asks for, one action after the other, until it is finished. The one place
 * that knows the loop. For one run, used by one thread.
 */
final class RunEngine {
  private static final Logger LOG = LoggerFactory.getLogger(RunEngine.class);

  private final RunSpec spec;
  private final WorkerClient worker;
  private final RunFolder folder;
  private final RunListener listener;
  private final Clock clock;
  private final Requests requests;
  private final Sampling sampling;

  private final Timings total = new Timings();
  private final List<Evaluated> evaluations = new ArrayList<>();
  private IterationMetrics iteration = new IterationMetrics();
  private Action current = new Action.Finish(0);
  private boolean open;
  private String exportSha256 = "";

  RunEngine(
      RunSpec spec,
      WorkerClient worker,
      RewardScorer scorer,
      RunFolder folder,
      RunListener listener,
      Clock clock) {
    this.spec = spec;
    this.worker = worker;
    this.folder = folder;
    this.listener = listener;
    this.clock = clock;
    this.requests = new Requests(folder.runId(), spec);
    this.sampling = new Sampling(worker, scorer, folder.runId(), listener);
  }

  /**
   * Runs to the end.
   *
   * @throws RunException if there is no end to reach; the events have told so, and what could be
   *     saved was
   */
  RunResult run() {
    try {
      started();
      open();
      RunResult result = train(Algorithm.of(spec));
      listener.onEvent(new RunEvent.Finished(result));
      return result;
    } catch (WorkerException e) {
      throw ended(RunException.of(doing(), e));
    } catch (RewardException e) {
      throw ended(RunException.of(doing(), e));
    } catch (InterruptedException | CancellationException e) {
      throw ended(RunException.cancelled(doing(), e));
    } catch (RunException e) {
      throw ended(e);
    } finally {
      close();
    }
  }

  private void started() {
    EvaluateSpec evaluate = spec.evaluate();
    int iterations = spec.algorithm().iterations();
    int last = iterations % evaluate.every() == 0 ? 0 : 1;
    listener.onEvent(
        new RunEvent.Started(
            folder.runId(),
            spec.name(),
            spec.algorithm().kind().name().toLowerCase(Locale.ROOT),
            spec.seed(),
            iterations,
            spec.algorithm().samples(),
            1 + iterations / evaluate.every() + last,
            evaluate.images(),
            switch (spec.algorithm().kl()) {
              case KlSpec.KlBudget(double budget) -> OptionalDouble.of(budget);
              case KlSpec.KlWeight weight -> OptionalDouble.empty();
            },
            clock.instant(),
            folder.root()));
  }

  private void open() {
    phase(0, Phase.OPEN);
    SessionDescription session = worker.open(requests.open(), Deadlines.OPEN).getSession();
    open = true;
    if (session.getConditional() == spec.prompts().isEmpty()) {
      throw new RunException(
          "INVALID_ARGUMENT",
          session.getConditional()
              ? "the model takes prompts: give prompts.file or prompts.list"
              : "the model is unconditional: remove prompts");
    }
  }

  private <S extends AlgorithmState> RunResult train(Algorithm<S> algorithm)
      throws InterruptedException {
    S state = algorithm.start();
    while (true) {
      current = algorithm.action(state);
      Optional<Outcome> outcome = perform(current);
      if (outcome.isEmpty()) {
        return result(state.progress());
      }
      Progress before = state.progress();
      state = algorithm.next(state, outcome.get());
      if (endsIteration(before, state.progress())) {
        iterationFinished(state.progress().rewardQueries());
      }
    }
  }

  /** Empty where there is nothing more to do. */
  private Optional<Outcome> perform(Action action) throws InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException();
    }
    return switch (action) {
      case Action.Evaluate evaluate -> Optional.of(evaluate(evaluate));
      case Action.Collect collect -> Optional.of(collect(collect));
      case Action.AssessValue assess -> Optional.of(assess(assess));
      case Action.FitValue fit -> Optional.of(fit(fit));
      case Action.ImprovePolicy improve -> Optional.of(improve(improve));
      case Action.Release release -> {
        worker.release(requests.release(release), Deadlines.RELEASE);
        yield Optional.of(new Outcome.Released());
      }
      case Action.Finish finish -> {
        phase(finish.iteration(), Phase.EXPORT);
        exportSha256 =
            worker.export(requests.export(folder.export()), Deadlines.EXPORT).getSha256();
        yield Optional.empty();
      }
    };
  }

  private Outcome evaluate(Action.Evaluate action) throws InterruptedException {
    phase(action.iteration(), Phase.EVALUATE);
    if (evaluations.isEmpty()) {
      folder.writeEvaluation(action.trajectories());
    }
    Sampling.Sampled sampled =
        sampling.draw(
            requests.sample(action),
            action.iteration(),
            Phase.EVALUATE,
            action.trajectories(),
            (index, image) -> folder.writeSample(action.iteration(), index, image));
    total.sampled(sampled.seconds());
    Evaluated evaluated =
        new Evaluated(
            action.iteration(),
            Interval.of(sampled.rewards()),
            sampled.rewards(),
            mean(sampled.kls(), Double::doubleValue),
            sampled.kls(),
            sampled.seconds());
    evaluations.add(evaluated);
    listener.onEvent(evaluated);
    return new Outcome.Evaluated(sampled.rewards());
  }

  private Outcome collect(Action.Collect action) throws InterruptedException {
    iteration = new IterationMetrics();
    phase(action.iteration(), Phase.SAMPLE);
    Sampling.Sampled sampled =
        sampling.draw(
            requests.sample(action),
            action.iteration(),
            Phase.SAMPLE,
            action.trajectories(),
            (index, image) -> {});
    total.sampled(sampled.seconds());
    iteration.timings.sampled(sampled.seconds());
    iteration.rewards = sampled.rewards();
    return new Outcome.Collected(sampled.rewards());
  }

  private Outcome assess(Action.AssessValue action) {
    phase(action.iteration(), Phase.VALUE);
    long start = System.nanoTime();
    EvaluateResponse response = worker.evaluate(requests.assess(action), Deadlines.ASSESS);
    value(start);
    iteration.quality =
        response.getByStateList().stream()
            .map(
                state ->
                    new TimestepQuality(
                        state.getTimestep(), state.getR2(), state.getMse(), state.getCorrelation()))
            .toList();
    return new Outcome.Assessed();
  }

  private Outcome fit(Action.FitValue action) {
    long start = System.nanoTime();
    FitValueResponse response = worker.fitValue(requests.fit(action), Deadlines.FIT);
    value(start);
    iteration.value =
        Optional.of(
            new ValueMetrics(
                iteration.quality,
                mean(secondHalf(response.getLossesList()), Double::doubleValue)));
    return new Outcome.Fitted();
  }

  private Outcome improve(Action.ImprovePolicy action) {
    phase(action.iteration(), Phase.POLICY);
    long start = System.nanoTime();
    ImprovePolicyResponse response =
        worker.improvePolicy(requests.improve(action), Deadlines.IMPROVE);
    double seconds = Timings.since(start);
    total.policy(seconds);
    iteration.timings.policy(seconds);
    List<PolicyStep> steps = secondHalf(response.getStepsList());
    iteration.policy =
        Optional.of(
            new PolicyMetrics(
                mean(steps, PolicyStep::getLoss),
                mean(steps, PolicyStep::getObjective),
                mean(steps, PolicyStep::getKlPerTrajectory),
                action.klWeight(),
                mean(steps, PolicyStep::getGradientNorm),
                mean(steps, PolicyStep::getClipped)));
    return new Outcome.Improved(
        response.getStepsList().stream().map(PolicyStep::getKlPerTrajectory).toList());
  }

  private void value(long start) {
    double seconds = Timings.since(start);
    total.value(seconds);
    iteration.timings.value(seconds);
  }

  private static boolean endsIteration(Progress before, Progress after) {
    return before.step() != Step.EVALUATE
        && (after.step() == Step.EVALUATE || after.iteration() > before.iteration());
  }

  private void iterationFinished(int rewardQueries) {
    boolean warmup =
        switch (spec.algorithm()) {
          case VardSpec vard -> current.iteration() <= vard.value().warmup();
          case DdpoSpec ddpo -> false;
        };
    listener.onEvent(
        new RunEvent.IterationFinished(
            current.iteration(),
            warmup ? "warmup" : "train",
            rewardQueries,
            Interval.of(iteration.rewards),
            iteration.value,
            iteration.policy,
            iteration.timings.seconds()));
  }

  private RunResult result(Progress progress) {
    Evaluated last = evaluations.getLast();
    return new RunResult(
        folder.runId(),
        progress.iteration(),
        progress.rewardQueries(),
        progress.evaluationQueries(),
        evaluations.getFirst().reward(),
        last.reward(),
        last.klPerTrajectory(),
        total.seconds(),
        folder.export().toString(),
        exportSha256);
  }

  /** Tells how the run ended, and saves the adapter as it is. */
  private RunException ended(RunException e) {
    // What is left to do is short, and must not be cancelled by the wish that is being granted.
    boolean interrupted = Thread.interrupted();
    try {
      listener.onEvent(
          e.cancelled()
              ? new RunEvent.Cancelled(current.iteration())
              : new RunEvent.Failed(e.code(), e.getMessage()));
      if (open) {
        worker.export(requests.export(folder.export()), Deadlines.LAST_EXPORT);
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
    String in = current.iteration() == 0 ? "" : " in iteration " + current.iteration();
    return switch (current) {
      case Action.Evaluate evaluate ->
          "while evaluating after " + evaluate.iteration() + " iterations";
      case Action.Collect collect -> "while sampling" + in;
      case Action.AssessValue assess -> "while assessing the value" + in;
      case Action.FitValue fit -> "while fitting the value" + in;
      case Action.ImprovePolicy improve -> "while improving the policy" + in;
      case Action.Release release -> "while releasing trajectories" + in;
      case Action.Finish finish -> "while exporting";
    };
  }

  private static <T> List<T> secondHalf(List<T> steps) {
    return steps.subList(steps.size() / 2, steps.size());
  }

  private static <T> double mean(List<T> items, ToDoubleFunction<T> number) {
    return items.stream().mapToDouble(number).average().orElse(Double.NaN);
  }

  /** What is known of the iteration in hand. */
  private static final class IterationMetrics {
    private final Timings timings = new Timings();
    private List<Double> rewards = List.of();
    private List<TimestepQuality> quality = List.of();
    private Optional<ValueMetrics> value = Optional.empty();
    private Optional<PolicyMetrics> policy = Optional.empty();
  }
}
