package dev.vard.algorithm;

import dev.vard.algorithm.Seeds.Purpose;
import dev.vard.spec.AlgorithmSpec.VardSpec;
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
public final class Vard extends IterationLoop<VardState> {
  /** −E[V(x_{t-1}, t−1, c)] + η E[KL_t], x_{t-1} reparameterised: the worker's. */
  static final String OBJECTIVE = "vard";

  private final ValueSpec value;

  Vard(VardSpec spec, Schedule schedule) {
    super(spec, schedule);
    this.value = spec.value();
  }

  @Override
  public Class<VardState> stateType() {
    return VardState.class;
  }

  @Override
  public VardState start() {
    return new VardState(Progress.START, 0, List.of(), Moments.NONE, startOfKl());
  }

  @Override
  int warmup() {
    return value.warmup();
  }

  @Override
  Step firstStep() {
    return Step.ASSESS;
  }

  @Override
  Action learn(VardState state) {
    return switch (state.progress().step()) {
      case AHEAD -> fit(state, value.ahead(), 1);
      case ASSESS ->
          new Action.AssessValue(
              state.progress().iteration(), targets(state, fresh(state)), value.batch());
      case FIT -> fit(state, value.steps() - (fitsAhead(state) ? value.ahead() : 0), 0);
      case EVALUATE, COLLECT, SCORE, IMPROVE, RELEASE, FINISH ->
          throw new IllegalArgumentException(state.progress().step() + " is the loop's");
    };
  }

  /**
   * @param part of the iteration's fit, for its seed
   */
  private Action.FitValue fit(VardState state, int steps, int part) {
    int iteration = state.progress().iteration();
    return new Action.FitValue(
        iteration,
        state.progress().operation() + 1,
        targets(state, state.window()),
        steps,
        value.batch(),
        value.learningRate(),
        value.maxGradientNorm(),
        schedule().seeds().of(Purpose.FIT, iteration, part));
  }

  @Override
  VardState learned(VardState state, Outcome outcome) {
    Progress progress = state.progress();
    return switch (outcome) {
      case Outcome.Fitted() when progress.step() == Step.AHEAD ->
          toScore(state.with(progress.changed(Step.SCORE)));
      case Outcome.Assessed() when progress.step() == Step.ASSESS ->
          state.with(progress.to(Step.FIT));
      case Outcome.Fitted() when progress.step() == Step.FIT -> {
        VardState fitted = state.with(progress.changed(Step.IMPROVE));
        yield state.scored() <= value.warmup() ? afterLearning(fitted) : fitted;
      }
      case Outcome other -> throw unfit(state, other);
    };
  }

  @Override
  VardState collected(VardState state) {
    return fitsAhead(state) ? state.with(state.progress().to(Step.AHEAD)) : toScore(state);
  }

  /** Whether there is something to fit before the iteration's first scores are awaited. */
  private boolean fitsAhead(VardState state) {
    return value.ahead() > 0
        && schedule().due(state.progress().iteration()) > before(state)
        && state.window().stream()
            .anyMatch(scored -> scored.iteration() <= before(state) && scored.reward().isPresent());
  }

  @Override
  VardState rewarded(VardState state, int round, List<OptionalDouble> rewards) {
    List<Scored> window = new ArrayList<>(state.window());
    window.addAll(Scored.round(round, trajectories(round), rewards));
    boolean scaling = round <= Math.max(1, value.warmup());
    List<Double> scores = rewards.stream().flatMap(reward -> reward.stream().boxed()).toList();
    return new VardState(
        state.progress(),
        round,
        window,
        scaling ? state.scale().with(scores) : state.scale(),
        state.kl());
  }

  /** What got its scores in this iteration. */
  private List<Scored> fresh(VardState state) {
    return state.window().stream().filter(scored -> scored.iteration() > before(state)).toList();
  }

  @Override
  Objective objective(VardState state) {
    return Objective.of(OBJECTIVE);
  }

  /** The iteration's own trajectories, but for those that are known to be left out. */
  @Override
  List<String> toImprove(VardState state) {
    int iteration = state.progress().iteration();
    List<String> dropped =
        state.window().stream()
            .filter(scored -> scored.iteration() == iteration && scored.reward().isEmpty())
            .map(Scored::id)
            .toList();
    return trajectories(iteration).stream()
        .map(Trajectory::id)
        .filter(id -> !dropped.contains(id))
        .toList();
  }

  /** What the next iteration's fit has no use for. */
  @Override
  List<Scored> expired(VardState state) {
    int oldest = state.scored() + 2 - value.replay();
    return state.window().stream().filter(scored -> scored.iteration() < oldest).toList();
  }

  @Override
  VardState forgotten(VardState state) {
    List<Scored> kept = new ArrayList<>(state.window());
    kept.removeAll(expired(state));
    return new VardState(state.progress(), state.scored(), kept, state.scale(), state.kl());
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
