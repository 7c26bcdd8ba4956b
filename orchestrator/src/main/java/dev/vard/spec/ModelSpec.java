package dev.vard.spec;

/**
 * The model to fine-tune.
 *
 * @param checkpoint absolute path of a folder in diffusers format, or a hub id
 * @param revision the hub's revision; empty for the default one
 * @param device {@code auto}, {@code cpu}, {@code cuda} or {@code cuda:N}
 */
public record ModelSpec(
    String checkpoint, String revision, String device, DType dtype, AdapterSpec adapter) {

  /** What the frozen weights are kept in. */
  public enum DType {
    FLOAT32,
    BFLOAT16
  }
}
