package dev.vard.spec;

import java.util.OptionalInt;

/**
 * The model to fine-tune.
 *
 * @param checkpoint absolute path of a folder in diffusers format, or a hub id
 */
public record ModelSpec(
    @SpecKey(
            text = "The pretrained model, of a family that own-checkpoint.md lists.",
            form = "a folder in diffusers format or a hub id")
        String checkpoint,
    @SpecKey(
            text = "Branch, tag or commit of a hub id.",
            form = "a revision of the hub",
            without = "the hub's default")
        String revision,
    @SpecKey(
            text = "Where the model computes; `auto` takes CUDA when present.",
            pattern = Forms.DEVICE,
            form = Forms.DEVICE_FORM,
            byDefault = "auto")
        String device,
    @SpecKey(
            text =
                "What the frozen weights are kept in; the adapter and the value network are"
                    + " float32.",
            byDefault = "float32")
        DType dtype,
    @SpecKey(
            text = "Pixels of the images; a multiple of what the model draws.",
            in = "[1, 16384]",
            without = "the model's own")
        OptionalInt height,
    @SpecKey(
            text = "Pixels of the images; a multiple of what the model draws.",
            in = "[1, 16384]",
            without = "the model's own")
        OptionalInt width,
    @SpecKey(
            text =
                "Whether the network keeps fewer activations and computes them again backwards:"
                    + " slower, in less memory, with the same gradients.",
            byDefault = "false")
        boolean gradientCheckpointing,
    @SpecKey(
            text =
                "Whether text encoders and VAE wait in the CPU's memory while they are not in use.",
            byDefault = "false")
        boolean offload,
    AdapterSpec adapter) {

  /** A model that draws its own size, held the plain way. */
  public ModelSpec(
      String checkpoint, String revision, String device, DType dtype, AdapterSpec adapter) {
    this(
        checkpoint,
        revision,
        device,
        dtype,
        OptionalInt.empty(),
        OptionalInt.empty(),
        false,
        false,
        adapter);
  }

  /** What the frozen weights are kept in. */
  public enum DType {
    FLOAT32,
    BFLOAT16
  }
}
