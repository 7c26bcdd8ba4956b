package dev.vard.algorithm;

import dev.vard.algorithm.Seeds.Purpose;
import dev.vard.spec.AlgorithmSpec;
import dev.vard.spec.PolicySpec;
import java.util.List;
import java.util.OptionalDouble;

/**
 * The loop that the algorithms share: evaluate, collect, score, learn, release. An algorithm says
 * what it learns in an iteration, from what, and what it remembers.
 *
 * @param <S> the algorithm's state
 */
abstract class IterationLoop<S extends AlgorithmState & IterationLoop.Looped<S>>
    implements Algorithm<S> {
  private final AlgorithmSpec spec;
  private final Schedule schedule;
  private final KlController controller;

  /** What the loop itself changes of a state. */
  interface Looped<S> {
    S with(Progress progress);

    S with(KlState kl);
  }

  IterationLoop(AlgorithmSpec spec, Schedule schedule) {
    this.spec = spec;
    this.schedule = schedule;
    this.controller = new KlController(spec.kl());
  }

  // ------------------------------------------------------------------------ an algorithm's own

  /** How many rounds the policy waits for before its first step. */
  abstract int warmup();

  /** The first learning step of an iteration that got scores. */
  abstract Step firstStep();

  /** What a learning step before {@code IMPROVE} does. */
  abstract Action learn(S state);

  /**
   * The state after such a step.
   *
   * @throws IllegalArgumentException where the outcome is none of that step
   */
  abstract S learned(S state, Outcome outcome);

  /** The trajectories that the policy is improved on. */
  abstract List<String> toImprove(S state);

  /** What the policy is improved by. */
  abstract Objective objective(S state);

  /** The next round's rewards, in the order of its trajectories; the progress counts them. */
  abstract S rewarded(S state, int round, List<OptionalDouble> rewards);

  /** What the worker holds and no later step has a use for. */
  abstract List<Scored> expired(S state);

  /** The state without {@link #expired}. */
  abstract S forgotten(S state);

  /** Once an iteration's trajectories are drawn. */
  S collected(S state) {
    return toScore(state);
  }

  // ------------------------------------------------------------------------ the loop

  final Schedule schedule() {
    return schedule;
  }

  final KlState startOfKl() {
    return controller.start();
  }

  @Override
  public final List<Trajectory> trajectories(int iteration) {
    return schedule.training(iteration);
  }

  @Override
  public final Action action(S state) {
    int iteration = state.progress().iteration();
    long operation = state.progress().operation() + 1;
    return switch (state.progress().step()) {
      case EVALUATE -> new Action.Evaluate(iteration, schedule.evaluation());
      case COLLECT -> new Action.Collect(iteration, operation, schedule.training(iteration));
      case SCORE -> new Action.Score(iteration, state.scored() + 1);
      case AHEAD, ASSESS, FIT -> learn(state);
      case IMPROVE -> improve(state);
      case RELEASE ->
          new Action.Release(
              iteration, operation, expired(state).stream().map(Scored::id).toList());
      case FINISH -> new Action.Finish(iteration);
    };
  }

  private Action improve(S state) {
    PolicySpec policy = spec.policy();
    int iteration = state.progress().iteration();
    int first = warmup() + schedule.staleness() + 1;
    double rate = policy.learningRate(iteration, first, schedule.iterations());
    return new Action.ImprovePolicy(
        iteration,
        state.progress().operation() + 1,
        toImprove(state),
        policy.steps(),
        policy.batch(),
        rate,
        rate * policy.phaseRate(),
        policy.maxGradientNorm(),
        schedule.seeds().of(Purpose.IMPROVE, iteration, 0),
        state.kl().weight(),
        controller.budget(schedule, iteration),
        objective(state));
  }

  @Override
  public final S next(S state, Outcome outcome) {
    Progress progress = state.progress();
    return switch (outcome) {
      case Outcome.Evaluated(List<OptionalDouble> rewards) when progress.step() == Step.EVALUATE ->
          state.with(afterEvaluation(progress.evaluated(rewards.size())));
      case Outcome.Collected() when progress.step() == Step.COLLECT ->
          collected(state.with(progress.changed(Step.SCORE)));
      case Outcome.Rewarded(List<OptionalDouble> rewards) when progress.step() == Step.SCORE ->
          toScore(
              rewarded(
                  state.with(progress.scored(rewards.size(), Step.SCORE)),
                  state.scored() + 1,
                  rewards));
      case Outcome.Improved improved when progress.step() == Step.IMPROVE ->
          afterLearning(
              state
                  .with(progress.changed(Step.RELEASE))
                  .with(controller.next(state.kl(), improved)));
      case Outcome.Released() when progress.step() == Step.RELEASE ->
          forgotten(state).with(afterRelease(progress.changed(Step.RELEASE)));
      case Outcome other -> learned(state, other);
    };
  }

  static IllegalArgumentException unfit(AlgorithmState state, Outcome outcome) {
    return new IllegalArgumentException(
        "a run at " + state.progress().step() + " cannot go on with " + outcome);
  }

  /** How many rounds had their scores before this iteration. */
  final int before(S state) {
    return schedule.due(state.progress().iteration() - 1);
  }

  /** Waits for what is due, then learns; where nothing is due, there is nothing new to learn. */
  final S toScore(S state) {
    Progress progress = state.progress();
    int due = schedule.due(progress.iteration());
    if (state.scored() < due) {
      return state.with(progress.to(Step.SCORE));
    }
    return state.with(due > before(state) ? progress.to(firstStep()) : afterRelease(progress));
  }

  final S afterLearning(S state) {
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
}
