package dev.vard.spec;

import java.util.List;

/**
 * What is to be made large: the weighted sum of its parts. A reward that is no sum has one part, of
 * weight 1, left raw.
 */
public record RewardSpec(
    @SpecKey(
            text = "What is summed.",
            form = "a list of at most 64 rewards, each with its kind and keys",
            count = 64,
            kinds = "sum")
        @SpecSection("reward")
        List<Part> parts,
    @SpecKey(
            text =
                "What becomes of a query that failed for good: the run pauses until the reward is"
                    + " mended, or the sample is left out and counted. Never a score.",
            byDefault = "pause")
        OnFailure onFailure,
    @SpecKey(
            text =
                "With `on-failure: drop`, the largest share of a round that may be left out; beyond"
                    + " it the run pauses.",
            in = "(0, 0.5]",
            byDefault = "" + RewardSpec.DEFAULT_MOST_DROPPED)
        double mostDropped,
    @SpecKey(
            text = "Whether identical images with identical prompts are asked once in a run.",
            byDefault = "false")
        boolean cache) {

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
   * @param name unlike the others'
   */
  public record Part(
      @SpecKey(
              text = "Names it in metrics and errors.",
              pattern = Forms.NAME,
              form = Forms.NAME_FORM,
              without = "its kind")
          String name,
      @SpecKey(text = "Scores are multiplied by it; it may be negative.", byDefault = "1.0")
          double weight,
      @SpecKey(
              text =
                  "In a part of a sum: before it is weighted, a score's mean is taken from it and"
                      + " it is divided by its deviation: those over the pretrained model's images"
                      + " of the first evaluation (`fixed`), over these and all training images so"
                      + " far (`running`), or not at all (`none`).",
              without = "`fixed`")
          Normalise normalise,
      @SpecSection("reward") RewardSource source,
      @SpecSection("reward") AskingSpec asking) {}

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
    return new RewardSpec(List.of(part), OnFailure.PAUSE, DEFAULT_MOST_DROPPED, false);
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
