package dev.vard.algorithm;

import dev.vard.algorithm.Seeds.Purpose;
import dev.vard.spec.AlgorithmSpec.VardSpec;
import dev.vard.spec.PolicySpec;
import dev.vard.spec.ValueSpec;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;

/**
 * VARD: fit a value network to the rewards of the last iterations, then let its gradient flow into
 * the policy.
 *
 * <p>The reward's scale, its mean and deviation, is that of the warm-up, whose images the
 * pretrained model drew. A moving scale would shrink the value's gradient as the rewards spread,
 * and with it the meaning of η.
 */
public final class Vard implements Algorithm<VardState> {
  /** −E[V(x_{t-1}, t−1, c)] + η E[KL_t], x_{t-1} reparameterised: the worker's. */
  static final String OBJECTIVE = "vard";

  private final VardSpec spec;
  private final Schedule schedule;
  private final KlController controller;

  Vard(VardSpec spec, Schedule schedule) {
    this.spec = spec;
    this.schedule = schedule;
    this.controller = new KlController(spec.kl());
  }

  @Override
  public Class<VardState> stateType() {
    return VardState.class;
  }

  @Override
  public VardState start() {
    return new VardState(Progress.START, 0, List.of(), Moments.NONE, controller.start());
  }

  @Override
  public List<Trajectory> trajectories(int iteration) {
    return schedule.training(iteration);
  }

  @Override
  public Action action(VardState state) {
    ValueSpec value = spec.value();
    PolicySpec policy = spec.policy();
    int iteration = state.progress().iteration();
    long operation = state.progress().operation() + 1;
    return switch (state.progress().step()) {
      case EVALUATE -> new Action.Evaluate(iteration, schedule.evaluation());
      case COLLECT -> new Action.Collect(iteration, operation, schedule.training(iteration));
      case AHEAD -> fit(state, value.ahead(), 1);
      case SCORE -> new Action.Score(iteration, state.scored() + 1);
      case ASSESS -> new Action.AssessValue(iteration, targets(state, fresh(state)), value.batch());
      case FIT -> fit(state, value.steps() - (fitsAhead(state) ? value.ahead() : 0), 0);
      case IMPROVE -> {
        int first = value.warmup() + schedule.staleness() + 1;
        double rate = policy.learningRate(iteration, first, schedule.iterations());
        yield new Action.ImprovePolicy(
            iteration,
            operation,
            toImprove(state),
            policy.steps(),
            policy.batch(),
            rate,
            rate * policy.phaseRate(),
            policy.maxGradientNorm(),
            schedule.seeds().of(Purpose.IMPROVE, iteration, 0),
            state.kl().weight(),
            controller.budget(schedule, iteration),
            Objective.of(OBJECTIVE));
      }
      case RELEASE ->
          new Action.Release(
              iteration, operation, expired(state).stream().map(Scored::id).toList());
      case FINISH -> new Action.Finish(iteration);
    };
  }

  /**
   * @param part of the iteration's fit, for its seed
   */
  private Action.FitValue fit(VardState state, int steps, int part) {
    ValueSpec value = spec.value();
    int iteration = state.progress().iteration();
    return new Action.FitValue(
        iteration,
        state.progress().operation() + 1,
        targets(state, state.window()),
        steps,
        value.batch(),
        value.learningRate(),
        value.maxGradientNorm(),
        schedule.seeds().of(Purpose.FIT, iteration, part));
  }

  @Override
  public VardState next(VardState state, Outcome outcome) {
    Progress progress = state.progress();
    return switch (outcome) {
      case Outcome.Evaluated(List<OptionalDouble> rewards) when progress.step() == Step.EVALUATE ->
          state.with(afterEvaluation(progress.evaluated(rewards.size())));
      case Outcome.Collected() when progress.step() == Step.COLLECT -> {
        VardState collected = state.with(progress.changed(Step.SCORE));
        yield fitsAhead(collected)
            ? collected.with(collected.progress().to(Step.AHEAD))
            : toScore(collected);
      }
      case Outcome.Fitted() when progress.step() == Step.AHEAD ->
          toScore(state.with(progress.changed(Step.SCORE)));
      case Outcome.Rewarded(List<OptionalDouble> rewards) when progress.step() == Step.SCORE ->
          toScore(rewarded(state, rewards));
      case Outcome.Assessed() when progress.step() == Step.ASSESS ->
          state.with(progress.to(Step.FIT));
      case Outcome.Fitted() when progress.step() == Step.FIT -> {
        boolean warmup = state.scored() <= spec.value().warmup();
        Progress fitted = progress.changed(Step.IMPROVE);
        yield warmup ? afterLearning(state.with(fitted)) : state.with(fitted);
      }
      case Outcome.Improved improved when progress.step() == Step.IMPROVE ->
          afterLearning(
              new VardState(
                  progress.changed(Step.RELEASE),
                  state.scored(),
                  state.window(),
                  state.scale(),
                  controller.next(state.kl(), improved)));
      case Outcome.Released() when progress.step() == Step.RELEASE -> {
        List<Scored> kept = new ArrayList<>(state.window());
        kept.removeAll(expired(state));
        yield new VardState(
            afterRelease(progress.changed(Step.RELEASE)),
            state.scored(),
            kept,
            state.scale(),
            state.kl());
      }
      case Outcome other ->
          throw new IllegalArgumentException(
              "a run at " + progress.step() + " cannot go on with " + other);
    };
  }

  /** Whether there is something to fit before the iteration's first scores are awaited. */
  private boolean fitsAhead(VardState state) {
    return spec.value().ahead() > 0
        && schedule.due(state.progress().iteration()) > before(state)
        && state.window().stream()
            .anyMatch(scored -> scored.iteration() <= before(state) && scored.reward().isPresent());
  }

  /** Waits for what is due, then learns; where nothing is due, there is nothing new to learn. */
  private VardState toScore(VardState state) {
    Progress progress = state.progress();
    int due = schedule.due(progress.iteration());
    if (state.scored() < due) {
      return state.with(progress.to(Step.SCORE));
    }
    return due > before(state)
        ? state.with(progress.to(Step.ASSESS))
        : state.with(afterRelease(progress));
  }

  private VardState rewarded(VardState state, List<OptionalDouble> rewards) {
    int round = state.scored() + 1;
    List<Scored> window = new ArrayList<>(state.window());
    window.addAll(Scored.round(round, schedule.training(round), rewards));
    boolean scaling = round <= Math.max(1, spec.value().warmup());
    List<Double> scores = rewards.stream().flatMap(reward -> reward.stream().boxed()).toList();
    return new VardState(
        state.progress().scored(rewards.size(), Step.SCORE),
        round,
        window,
        scaling ? state.scale().with(scores) : state.scale(),
        state.kl());
  }

  private VardState afterLearning(VardState state) {
    Progress progress = state.progress();
    return state.with(
        expired(state).isEmpty() ? afterRelease(progress) : progress.to(Step.RELEASE));
  }

  private Progress afterRelease(Progress progress) {
    return schedule.evaluates(progress.iteration())
        ? progress.to(Step.EVALUATE)
        : progress.nextIteration();
  }

  private Progress afterEvaluation(Progress progress) {
    return progress.iteration() == schedule.iterations()
        ? progress.to(Step.FINISH)
        : progress.nextIteration();
  }

  /** How many rounds had their scores before this iteration. */
  private int before(VardState state) {
    return schedule.due(state.progress().iteration() - 1);
  }

  /** What got its scores in this iteration. */
  private List<Scored> fresh(VardState state) {
    return state.window().stream().filter(scored -> scored.iteration() > before(state)).toList();
  }

  /** The iteration's own trajectories, but for those that are known to be left out. */
  private List<String> toImprove(VardState state) {
    int iteration = state.progress().iteration();
    List<String> dropped =
        state.window().stream()
            .filter(scored -> scored.iteration() == iteration && scored.reward().isEmpty())
            .map(Scored::id)
            .toList();
    return schedule.training(iteration).stream()
        .map(Trajectory::id)
        .filter(id -> !dropped.contains(id))
        .toList();
  }

  /** What the next iteration's fit has no use for. */
  private List<Scored> expired(VardState state) {
    int oldest = state.scored() + 2 - spec.value().replay();
    return state.window().stream().filter(scored -> scored.iteration() < oldest).toList();
  }

  private static List<Target> targets(VardState state, List<Scored> trajectories) {
    return trajectories.stream()
        .filter(scored -> scored.reward().isPresent())
        .map(
            scored ->
                new Target(scored.id(), state.scale().normalise(scored.reward().getAsDouble())))
        .toList();
  }
}
