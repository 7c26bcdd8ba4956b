package dev.vard.algorithm;

/**
 * What the value network should say along one trajectory.
 *
 * @param value the normalised reward
 */
public record Target(String trajectoryId, double value) {
  public Target {
    NotFiniteException.finite(value, "the target of trajectory " + trajectoryId);
  }
}
