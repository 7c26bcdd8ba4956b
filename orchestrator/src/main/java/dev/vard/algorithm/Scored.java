package dev.vard.algorithm;

import java.util.List;
import java.util.OptionalDouble;
import java.util.stream.IntStream;

/**
 * A trajectory that the worker holds, and that was put to the reward.
 *
 * @param iteration that collected it
 * @param reward empty where the query failed for good and is left out
 */
public record Scored(String id, int iteration, OptionalDouble reward) {

  /** A round's trajectories with their rewards. */
  static List<Scored> round(
      int iteration, List<Trajectory> trajectories, List<OptionalDouble> rewards) {
    if (rewards.size() != trajectories.size()) {
      throw new IllegalArgumentException(
          rewards.size() + " rewards for " + trajectories.size() + " trajectories");
    }
    return IntStream.range(0, rewards.size())
        .mapToObj(i -> new Scored(trajectories.get(i).id(), iteration, rewards.get(i)))
        .toList();
  }
}
