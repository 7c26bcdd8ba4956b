package dev.vard.algorithm;

import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;

/** What an action came to. No number in it that decides the future may be NaN or infinite. */
public sealed interface Outcome {

  /**
   * Of {@link Action.Evaluate}.
   *
   * @param rewards of each image, in the action's order; empty for those that were dropped
   */
  record Evaluated(List<OptionalDouble> rewards) implements Outcome {
    public Evaluated {
      rewards = finiteOrDropped(rewards);
    }
  }

  /** Of {@link Action.Collect}. */
  record Collected() implements Outcome {}

  /**
   * Of {@link Action.Score}.
   *
   * @param rewards of each of the round's trajectories, in their order; empty for those that were
   *     dropped
   */
  record Rewarded(List<OptionalDouble> rewards) implements Outcome {
    public Rewarded {
      rewards = finiteOrDropped(rewards);
    }
  }

  /** Of {@link Action.AssessValue}. */
  record Assessed() implements Outcome {}

  /** Of {@link Action.FitValue}. */
  record Fitted() implements Outcome {}

  /**
   * Of {@link Action.ImprovePolicy}.
   *
   * @param kls each step's estimate of the trajectory's KL in nats
   * @param klWeight η after the last step
   * @param probed the KL in nats that was measured on fresh trajectories, each time; the last one
   *     is the policy's, unless they were drawn as often as they may be
   * @param metrics the objective's own, by name: means over the second half of the steps
   */
  record Improved(
      List<Double> kls, double klWeight, List<Double> probed, Map<String, Double> metrics)
      implements Outcome {
    public Improved {
      kls = finite("KL", kls);
      probed = finite("measured KL", probed);
      NotFiniteException.finite(klWeight, "the KL's weight η");
      metrics.forEach((name, value) -> NotFiniteException.finite(value, "the metric " + name));
      metrics = Map.copyOf(metrics);
    }
  }

  /** Of {@link Action.Release}. */
  record Released() implements Outcome {}

  private static List<OptionalDouble> finiteOrDropped(List<OptionalDouble> rewards) {
    finite("reward", rewards.stream().flatMap(reward -> reward.stream().boxed()).toList());
    return List.copyOf(rewards);
  }

  private static List<Double> finite(String what, List<Double> values) {
    for (double value : values) {
      NotFiniteException.finite(value, "a " + what);
    }
    return List.copyOf(values);
  }
}
