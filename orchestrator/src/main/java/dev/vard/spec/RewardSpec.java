package dev.vard.spec;

import java.util.List;

/**
 * What is to be made large: the weighted sum of its parts. A reward that is no sum has one part, of
 * weight 1, left raw.
 *
 * @param cache whether identical images with identical prompts are asked once in a run
 * @param onFailure what becomes of a query that failed for good
 * @param mostDropped largest share of a round's queries that may be dropped
 */
public record RewardSpec(List<Part> parts, boolean cache, OnFailure onFailure, double mostDropped) {

  /** What becomes of a query that failed for good. A failure is never a score. */
  public enum OnFailure {
    /** The run waits for somebody to mend the reward, and is resumed. */
    PAUSE,
    /** The sample is left out and counted. */
    DROP
  }

  /** How a part is put on the same footing as the others. */
  public enum Normalise {
    /** By mean and deviation over the pretrained model's images of the first evaluation. */
    FIXED,
    /** By mean and deviation over these and all training images so far. */
    RUNNING,
    /** Not at all. */
    NONE
  }

  /**
   * One reward of the sum.
   *
   * @param name in logs and metrics, unlike the others'
   * @param weight may be negative
   */
  public record Part(
      String name, double weight, Normalise normalise, RewardSource source, AskingSpec asking) {}

  public RewardSpec {
    parts = List.copyOf(parts);
    if (parts.isEmpty()) {
      throw new IllegalArgumentException("a reward has at least one part");
    }
  }

  /** One reward by itself, asked as its kind is asked where a specification does not say. */
  public static RewardSpec of(RewardSource source) {
    String name = ValueType.Choice.name(source.kind());
    Part part = new Part(name, 1, Normalise.NONE, source, AskingSpec.of(source));
    return new RewardSpec(List.of(part), false, OnFailure.PAUSE, DEFAULT_MOST_DROPPED);
  }

  /** Whether its parts are told apart. */
  public boolean isSum() {
    return parts.size() > 1 || parts.getFirst().normalise() != Normalise.NONE;
  }

  /** Whether a Java program has to bring it, or some of it. */
  public boolean supplied() {
    return parts.stream().anyMatch(part -> part.source() instanceof RewardSource.Supplied);
  }

  /** Whether some of it is asked over a connection. */
  public boolean remote() {
    return parts.stream().anyMatch(part -> part.source().remote());
  }

  static final double DEFAULT_MOST_DROPPED = 0.1;
}
