package dev.vard.reward;

/** What became of a query, for good. */
public sealed interface Answer {

  /** A finite score. */
  record Scored(double score) implements Answer {}

  /**
   * It failed for good, and its sample is left out.
   *
   * @param code why, as {@code TIMEOUT}
   */
  record Dropped(String code) implements Answer {}
}
