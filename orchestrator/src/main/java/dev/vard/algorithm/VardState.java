package dev.vard.algorithm;

import java.util.List;

/**
 * VARD between two steps.
 *
 * @param window the trajectories that the worker holds, oldest first
 * @param scale the rewards that set the reward's scale
 * @param kl what the controller of the KL remembers
 */
public record VardState(Progress progress, List<Scored> window, Moments scale, KlState kl)
    implements AlgorithmState {

  public VardState {
    window = List.copyOf(window);
  }

  VardState with(Progress progress) {
    return new VardState(progress, window, scale, kl);
  }
}
