package dev.vard.algorithm;

import java.util.List;

/** What an action came to. No number in it that decides the future may be NaN or infinite. */
public sealed interface Outcome {

  /**
   * Of {@link Action.Evaluate}.
   *
   * @param rewards of each image, in the action's order
   */
  record Evaluated(List<Double> rewards) implements Outcome {
    public Evaluated {
      rewards = finite("reward", rewards);
    }
  }

  /**
   * Of {@link Action.Collect}.
   *
   * @param rewards of each trajectory, in the action's order
   */
  record Collected(List<Double> rewards) implements Outcome {
    public Collected {
      rewards = finite("reward", rewards);
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
   */
  record Improved(List<Double> kls) implements Outcome {
    public Improved {
      kls = finite("KL", kls);
    }
  }

  /** Of {@link Action.Release}. */
  record Released() implements Outcome {}

  private static List<Double> finite(String what, List<Double> values) {
    for (double value : values) {
      if (!Double.isFinite(value)) {
        throw new IllegalArgumentException("a " + what + " is " + value + "; it must be finite");
      }
    }
    return List.copyOf(values);
  }
}
