package dev.vard.spec;

import java.util.OptionalInt;

/**
 * The model to fine-tune.
 *
 * @param checkpoint absolute path of a folder in diffusers format, or a hub id
 * @param revision the hub's revision; empty for the default one
 * @param device {@code auto}, {@code cpu}, {@code cuda} or {@code cuda:N}
 * @param height pixels of the images; empty for the model's own
 * @param width pixels of the images; empty for the model's own
 * @param gradientCheckpointing whether activations are computed again backwards
 * @param offload whether text encoders and VAE wait in the CPU's memory
 */
public record ModelSpec(
    String checkpoint,
    String revision,
    String device,
    DType dtype,
    AdapterSpec adapter,
    OptionalInt height,
    OptionalInt width,
    boolean gradientCheckpointing,
    boolean offload) {

  /** A model that draws its own size, held the plain way. */
  public ModelSpec(
      String checkpoint, String revision, String device, DType dtype, AdapterSpec adapter) {
    this(
        checkpoint,
        revision,
        device,
        dtype,
        adapter,
        OptionalInt.empty(),
        OptionalInt.empty(),
        false,
        false);
  }

  /** What the frozen weights are kept in. */
  public enum DType {
    FLOAT32,
    BFLOAT16
  }
}
