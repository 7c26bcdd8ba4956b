package dev.vard.run;

/**
 * The reward queries that belong together: those of one collection or of one evaluation, put to one
 * part of the reward.
 *
 * @param iteration of a collection, the iteration, from 1; of an evaluation, the iterations done
 * @param part of the reward, from 0
 */
public record Round(Kind kind, int iteration, int part) {

  /** Of a reward's first part. */
  public Round(Kind kind, int iteration) {
    this(kind, iteration, 0);
  }

  /** The same images, put to another part of the reward. */
  Round of(int part) {
    return new Round(kind, iteration, part);
  }

  /** What the images are drawn for. */
  public enum Kind {
    COLLECT,
    EVALUATE
  }

  /** As {@code collect-0003}; of another part than the first {@code collect-0003.1}. */
  public String key() {
    return (kind == Kind.COLLECT ? "collect-" : "evaluate-")
        + "%04d".formatted(iteration)
        + (part == 0 ? "" : "." + part);
  }
}
