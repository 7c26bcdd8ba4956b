package dev.vard.algorithm;

import dev.vard.algorithm.Seeds.Purpose;
import dev.vard.spec.AlgorithmSpec.VardSpec;
import dev.vard.spec.PolicySpec;
import dev.vard.spec.ValueSpec;
import java.util.ArrayList;
import java.util.List;

/**
 * VARD: fit a value network to the rewards of the last iterations, then let its gradient flow into
 * the policy.
 *
 * <p>The reward's scale, its mean and deviation, is that of the warm-up, whose images the
 * pretrained model drew. A moving scale would shrink the value's gradient as the rewards spread,
 * and with it the meaning of η.
 */
public final class Vard implements Algorithm<VardState> {
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
    return new VardState(Progress.START, List.of(), Moments.NONE, controller.start());
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
      case ASSESS -> new Action.AssessValue(iteration, targets(state, fresh(state)), value.batch());
      case FIT ->
          new Action.FitValue(
              iteration,
              operation,
              targets(state, state.window()),
              value.steps(),
              value.batch(),
              value.learningRate(),
              value.maxGradientNorm(),
              schedule.seeds().of(Purpose.FIT, iteration, 0));
      case IMPROVE ->
          new Action.ImprovePolicy(
              iteration,
              operation,
              fresh(state).stream().map(Scored::id).toList(),
              policy.steps(),
              policy.batch(),
              policy.learningRate(iteration, spec.value().warmup() + 1, spec.iterations()),
              policy.maxGradientNorm(),
              schedule.seeds().of(Purpose.IMPROVE, iteration, 0),
              state.kl().weight(),
              new Objective.Value());
      case RELEASE ->
          new Action.Release(
              iteration, operation, expired(state).stream().map(Scored::id).toList());
      case FINISH -> new Action.Finish(iteration);
    };
  }

  @Override
  public VardState next(VardState state, Outcome outcome) {
    Progress progress = state.progress();
    return switch (outcome) {
      case Outcome.Evaluated(List<Double> rewards) when progress.step() == Step.EVALUATE ->
          state.with(afterEvaluation(progress.evaluated(rewards.size())));
      case Outcome.Collected(List<Double> rewards) when progress.step() == Step.COLLECT ->
          collected(state, rewards);
      case Outcome.Assessed() when progress.step() == Step.ASSESS ->
          state.with(progress.to(Step.FIT));
      case Outcome.Fitted() when progress.step() == Step.FIT -> {
        boolean warmup = progress.iteration() <= spec.value().warmup();
        Progress fitted = progress.changed(Step.IMPROVE);
        yield warmup ? afterLearning(state.with(fitted)) : state.with(fitted);
      }
      case Outcome.Improved(List<Double> kls) when progress.step() == Step.IMPROVE ->
          afterLearning(
              new VardState(
                  progress.changed(Step.RELEASE),
                  state.window(),
                  state.scale(),
                  controller.next(state.kl(), kls)));
      case Outcome.Released() when progress.step() == Step.RELEASE -> {
        List<Scored> kept = new ArrayList<>(state.window());
        kept.removeAll(expired(state));
        yield new VardState(
            afterRelease(progress.changed(Step.RELEASE)), kept, state.scale(), state.kl());
      }
      case Outcome other ->
          throw new IllegalArgumentException(
              "a run at " + progress.step() + " cannot go on with " + other);
    };
  }

  private VardState collected(VardState state, List<Double> rewards) {
    int iteration = state.progress().iteration();
    if (rewards.size() != spec.samples()) {
      throw new IllegalArgumentException(
          rewards.size() + " rewards for " + spec.samples() + " trajectories");
    }
    List<Scored> window = new ArrayList<>(state.window());
    List<Trajectory> trajectories = schedule.training(iteration);
    for (int i = 0; i < rewards.size(); i++) {
      window.add(new Scored(trajectories.get(i).id(), iteration, rewards.get(i)));
    }
    boolean scaling = iteration <= Math.max(1, spec.value().warmup());
    return new VardState(
        state.progress().collected(rewards.size(), Step.ASSESS),
        window,
        scaling ? state.scale().with(rewards) : state.scale(),
        state.kl());
  }

  private VardState afterLearning(VardState state) {
    Progress progress = state.progress();
    return state.with(
        expired(state).isEmpty() ? afterRelease(progress) : progress.to(Step.RELEASE));
  }

  private Progress afterRelease(Progress progress) {
    return schedule.evaluates(progress.iteration(), spec.iterations())
        ? progress.to(Step.EVALUATE)
        : progress.nextIteration();
  }

  private Progress afterEvaluation(Progress progress) {
    return progress.iteration() == spec.iterations()
        ? progress.to(Step.FINISH)
        : progress.nextIteration();
  }

  private static List<Scored> fresh(VardState state) {
    int iteration = state.progress().iteration();
    return state.window().stream().filter(scored -> scored.iteration() == iteration).toList();
  }

  /** What the next iteration's fit has no use for. */
  private List<Scored> expired(VardState state) {
    int oldest = state.progress().iteration() + 2 - spec.value().replay();
    return state.window().stream().filter(scored -> scored.iteration() < oldest).toList();
  }

  private static List<Target> targets(VardState state, List<Scored> trajectories) {
    return trajectories.stream()
        .map(scored -> new Target(scored.id(), state.scale().normalise(scored.reward())))
        .toList();
  }
}
