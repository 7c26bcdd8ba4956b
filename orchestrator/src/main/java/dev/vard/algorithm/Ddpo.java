package dev.vard.algorithm;

import dev.vard.algorithm.Seeds.Purpose;
import dev.vard.spec.AlgorithmSpec.DdpoSpec;
import dev.vard.spec.PolicySpec;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * DDPO (Black et al., "Training Diffusion Models with Reinforcement Learning", 2023): a policy
 * gradient with PPO's clipped ratio and advantages normalised per prompt, as the authors' code does
 * it.
 */
public final class Ddpo implements Algorithm<DdpoState> {
  /** A prompt's statistics are of its last so many rewards. */
  static final int HISTORY = 32;

  /** With fewer rewards than this a prompt goes by the iteration's mean and deviation. */
  static final int ENOUGH = 16;

  private final DdpoSpec spec;
  private final Schedule schedule;
  private final KlController controller;

  Ddpo(DdpoSpec spec, Schedule schedule) {
    this.spec = spec;
    this.schedule = schedule;
    this.controller = new KlController(spec.kl());
  }

  @Override
  public Class<DdpoState> stateType() {
    return DdpoState.class;
  }

  @Override
  public DdpoState start() {
    return new DdpoState(Progress.START, List.of(), Map.of(), controller.start());
  }

  @Override
  public Action action(DdpoState state) {
    PolicySpec policy = spec.policy();
    int iteration = state.progress().iteration();
    long operation = state.progress().operation() + 1;
    return switch (state.progress().step()) {
      case EVALUATE -> new Action.Evaluate(iteration, schedule.evaluation());
      case COLLECT -> new Action.Collect(iteration, operation, schedule.training(iteration));
      case IMPROVE ->
          new Action.ImprovePolicy(
              iteration,
              operation,
              ids(iteration),
              policy.steps(),
              policy.batch(),
              policy.learningRate(iteration, 1, spec.iterations()),
              policy.maxGradientNorm(),
              schedule.seeds().of(Purpose.IMPROVE, iteration, 0),
              state.kl().weight(),
              new Objective.ClippedRatio(advantages(state), spec.clip()));
      case RELEASE -> new Action.Release(iteration, operation, ids(iteration));
      case FINISH -> new Action.Finish(iteration);
      case ASSESS, FIT ->
          throw new IllegalArgumentException(
              "DDPO has no value network to " + state.progress().step());
    };
  }

  @Override
  public DdpoState next(DdpoState state, Outcome outcome) {
    Progress progress = state.progress();
    return switch (outcome) {
      case Outcome.Evaluated(List<Double> rewards) when progress.step() == Step.EVALUATE -> {
        Progress evaluated = progress.evaluated(rewards.size());
        yield state.with(
            progress.iteration() == spec.iterations()
                ? evaluated.to(Step.FINISH)
                : evaluated.nextIteration());
      }
      case Outcome.Collected(List<Double> rewards) when progress.step() == Step.COLLECT ->
          collected(state, rewards);
      case Outcome.Improved(List<Double> kls) when progress.step() == Step.IMPROVE ->
          new DdpoState(
              progress.changed(Step.RELEASE),
              state.fresh(),
              state.history(),
              controller.next(state.kl(), kls));
      case Outcome.Released() when progress.step() == Step.RELEASE -> {
        Progress released = progress.changed(Step.EVALUATE);
        yield new DdpoState(
            schedule.evaluates(progress.iteration(), spec.iterations())
                ? released
                : released.nextIteration(),
            List.of(),
            state.history(),
            state.kl());
      }
      case Outcome other ->
          throw new IllegalArgumentException(
              "a run at " + progress.step() + " cannot go on with " + other);
    };
  }

  private DdpoState collected(DdpoState state, List<Double> rewards) {
    if (rewards.size() != spec.samples()) {
      throw new IllegalArgumentException(
          rewards.size() + " rewards for " + spec.samples() + " trajectories");
    }
    Map<String, List<Double>> history = new HashMap<>(state.history());
    List<Trajectory> trajectories = schedule.training(state.progress().iteration());
    for (int i = 0; i < rewards.size(); i++) {
      List<Double> last =
          new ArrayList<>(history.getOrDefault(trajectories.get(i).prompt(), List.of()));
      last.add(rewards.get(i));
      history.put(
          trajectories.get(i).prompt(),
          List.copyOf(last.subList(Math.max(0, last.size() - HISTORY), last.size())));
    }
    return new DdpoState(
        state.progress().collected(rewards.size(), Step.IMPROVE), rewards, history, state.kl());
  }

  private List<Double> advantages(DdpoState state) {
    Moments batch = Moments.of(state.fresh());
    List<Double> advantages = new ArrayList<>();
    List<Trajectory> trajectories = schedule.training(state.progress().iteration());
    for (int i = 0; i < state.fresh().size(); i++) {
      List<Double> own = state.history().get(trajectories.get(i).prompt());
      Moments moments = own.size() >= ENOUGH ? Moments.of(own) : batch;
      double advantage = moments.normalise(state.fresh().get(i));
      advantages.add(Math.clamp(advantage, -spec.advantageClip(), spec.advantageClip()));
    }
    return advantages;
  }

  private List<String> ids(int iteration) {
    return schedule.training(iteration).stream().map(Trajectory::id).toList();
  }
}
