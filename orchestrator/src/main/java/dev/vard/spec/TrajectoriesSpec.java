package dev.vard.spec;

/**
 * How the states of trajectories are kept until they are released.
 *
 * @param device on the model's device, or in the CPU's memory
 */
public record TrajectoriesSpec(ModelSpec.DType dtype, Device device) {
  /** In float32, where the model computes. */
  public static final TrajectoriesSpec PLAIN =
      new TrajectoriesSpec(ModelSpec.DType.FLOAT32, Device.MODEL);

  /** Where states are kept. */
  public enum Device {
    MODEL,
    CPU
  }
}
