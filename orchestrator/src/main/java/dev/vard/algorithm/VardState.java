package dev.vard.algorithm;

import java.util.List;

/**
 * VARD between two steps.
 *
 * @param window the trajectories that the worker holds, oldest first
 * @param scale the rewards that set the reward's scale
 * @param klWeight η of the next policy phase
 */
public record VardState(Progress progress, List<Scored> window, Moments scale, double klWeight)
    implements AlgorithmState {

  public VardState {
    window = List.copyOf(window);
  }

  VardState with(Progress progress) {
    return new VardState(progress, window, scale, klWeight);
  }
}
