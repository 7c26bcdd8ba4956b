package dev.vard.algorithm;

import java.util.List;

/** What the policy is improved by. */
public sealed interface Objective {

  /** The value network's say on the next state, through which the gradient flows. */
  record Value() implements Objective {}

  /**
   * PPO's clipped likelihood ratio.
   *
   * @param advantages of each trajectory, in their order
   * @param clip ε
   */
  record ClippedRatio(List<Double> advantages, double clip) implements Objective {
    public ClippedRatio {
      advantages = List.copyOf(advantages);
      for (int i = 0; i < advantages.size(); i++) {
        NotFiniteException.finite(advantages.get(i), "the advantage of trajectory " + i);
      }
    }
  }
}
