package dev.vard.spec;

/** How the states of trajectories are kept until they are released. */
public record TrajectoriesSpec(
    @SpecKey(
            text = "What trajectories' states are kept in until they are released.",
            byDefault = "float32")
        ModelSpec.DType dtype,
    @SpecKey(
            text = "Where they are kept: on the model's device, or in the CPU's memory.",
            byDefault = "model")
        Device device) {
  /** In float32, where the model computes. */
  public static final TrajectoriesSpec PLAIN =
      new TrajectoriesSpec(ModelSpec.DType.FLOAT32, Device.MODEL);

  /** Where states are kept. */
  public enum Device {
    MODEL,
    CPU
  }
}
