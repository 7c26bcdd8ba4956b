package dev.vard.algorithm;

import java.util.List;

/**
 * VARD between two steps.
 *
 * @param scored iterations whose trajectories have their rewards
 * @param window the trajectories of these that the worker holds, oldest first
 * @param scale the rewards that set the reward's scale
 * @param kl what the controller of the KL remembers
 */
public record VardState(
    Progress progress, int scored, List<Scored> window, Moments scale, KlState kl)
    implements AlgorithmState, IterationLoop.Looped<VardState> {

  public VardState {
    window = List.copyOf(window);
  }

  @Override
  public VardState with(Progress progress) {
    return new VardState(progress, scored, window, scale, kl);
  }

  @Override
  public VardState with(KlState kl) {
    return new VardState(progress, scored, window, scale, kl);
  }
}
