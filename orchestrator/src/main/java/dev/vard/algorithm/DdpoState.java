package dev.vard.algorithm;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * DDPO between two steps.
 *
 * @param scored iterations whose trajectories have their rewards
 * @param fresh the trajectories that got theirs in this iteration
 * @param history each prompt's last rewards, oldest first
 * @param kl what the controller of the KL remembers
 */
public record DdpoState(
    Progress progress,
    int scored,
    List<Scored> fresh,
    Map<String, List<Double>> history,
    KlState kl)
    implements AlgorithmState, IterationLoop.Looped<DdpoState> {

  public DdpoState {
    fresh = List.copyOf(fresh);
    // Sorted, so that the same state is the same JSON.
    history = Collections.unmodifiableMap(new TreeMap<>(history));
  }

  @Override
  public DdpoState with(Progress progress) {
    return new DdpoState(progress, scored, fresh, history, kl);
  }

  @Override
  public DdpoState with(KlState kl) {
    return new DdpoState(progress, scored, fresh, history, kl);
  }
}
