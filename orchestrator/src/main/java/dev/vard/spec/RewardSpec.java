package dev.vard.spec;

/** What is to be made large. */
public sealed interface RewardSpec {

  /** Minus the kilobytes of the image as a JPEG. */
  record JpegCompressibility(int quality) implements RewardSpec {}

  /** The kilobytes of the image as a JPEG. */
  record JpegIncompressibility(int quality) implements RewardSpec {}

  /** The Java program that starts the run brings its own. */
  record Supplied() implements RewardSpec {}

  /** The names of the above in a specification. */
  enum Kind {
    JPEG_COMPRESSIBILITY,
    JPEG_INCOMPRESSIBILITY,
    SUPPLIED
  }
}
