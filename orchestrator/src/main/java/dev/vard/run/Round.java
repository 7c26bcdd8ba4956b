package dev.vard.run;

/**
 * The reward queries that belong together: those of one collection or of one evaluation.
 *
 * @param iteration of a collection, the iteration, from 1; of an evaluation, the iterations done
 */
public record Round(Kind kind, int iteration) {

  /** What the images are drawn for. */
  public enum Kind {
    COLLECT,
    EVALUATE
  }

  /** As {@code collect-0003}. */
  public String key() {
    return (kind == Kind.COLLECT ? "collect-" : "evaluate-") + "%04d".formatted(iteration);
  }
}
