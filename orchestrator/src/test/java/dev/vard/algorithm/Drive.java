package dev.vard.algorithm;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.function.Function;

/**
 * Runs an algorithm to its end on outcomes that a test makes.
 *
 * @param states before each action
 */
record Drive<S extends AlgorithmState>(List<Action> actions, List<S> states) {

  static <S extends AlgorithmState> Drive<S> of(
      Algorithm<S> algorithm, Function<Action, Outcome> world) {
    List<Action> actions = new ArrayList<>();
    List<S> states = new ArrayList<>();
    S state = algorithm.start();
    while (true) {
      states.add(state);
      Action action = algorithm.action(state);
      actions.add(action);
      if (action instanceof Action.Finish) {
        return new Drive<>(actions, states);
      }
      state = algorithm.next(state, world.apply(action));
    }
  }

  /**
   * A world where the reward is a function of a trajectory, NaN where it is dropped, and each
   * policy step measures the same KL.
   */
  static Function<Action, Outcome> world(
      Algorithm<?> algorithm, Function<Trajectory, Double> reward, double kl) {
    return action ->
        switch (action) {
          case Action.Evaluate evaluate ->
              new Outcome.Evaluated(rewards(evaluate.trajectories(), reward));
          case Action.Collect collect -> new Outcome.Collected();
          case Action.Score score ->
              new Outcome.Rewarded(rewards(algorithm.trajectories(score.round()), reward));
          case Action.AssessValue assess -> new Outcome.Assessed();
          case Action.FitValue fit -> new Outcome.Fitted();
          case Action.ImprovePolicy improve ->
              new Outcome.Improved(List.of(0.0, kl), 0.05, List.of(), Map.of());
          case Action.Release release -> new Outcome.Released();
          case Action.Finish finish -> throw new IllegalStateException("nothing follows");
        };
  }

  /** NaN stands for one that was dropped. */
  private static List<OptionalDouble> rewards(
      List<Trajectory> trajectories, Function<Trajectory, Double> reward) {
    return trajectories.stream()
        .map(reward)
        .map(value -> value.isNaN() ? OptionalDouble.empty() : OptionalDouble.of(value))
        .toList();
  }

  <A extends Action> List<A> all(Class<A> kind) {
    return actions.stream().filter(kind::isInstance).map(kind::cast).toList();
  }
}
