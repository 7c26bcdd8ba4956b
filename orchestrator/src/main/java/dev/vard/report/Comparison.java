package dev.vard.report;

import com.fasterxml.jackson.databind.JsonNode;
import dev.vard.statistics.Interval;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * The reward before training and after it.
 *
 * @param basis {@code evaluation}; {@code training} where no evaluation followed the training, or
 *     none was made at all
 * @param difference after minus before, paired image by image; empty where the images are not the
 *     same
 * @param images of each of the two; 0 where unknown
 */
record Comparison(
    String basis,
    JsonNode before,
    JsonNode after,
    Optional<Interval> difference,
    int images,
    int afterIteration) {

  static Optional<Comparison> of(Metrics metrics) {
    if (metrics.evaluations().size() > 1) {
      return Optional.of(of("evaluation", metrics.evaluations()));
    }
    return metrics.iterations().isEmpty()
        ? Optional.empty()
        : Optional.of(of("training", metrics.iterations()));
  }

  private static Comparison of(String what, List<JsonNode> events) {
    JsonNode first = events.getFirst();
    JsonNode last = events.getLast();
    JsonNode before = first.path("rewards");
    JsonNode after = last.path("rewards");
    // An image whose query failed for good has no reward: it is left out, not taken for a 0.
    List<Double> differences =
        IntStream.range(0, Math.min(before.size(), after.size()))
            .filter(i -> before.path(i).isNumber() && after.path(i).isNumber())
            .mapToObj(i -> after.path(i).asDouble() - before.path(i).asDouble())
            .toList();
    boolean paired = before.size() == after.size() && differences.size() > 1;
    return new Comparison(
        what,
        first.path("reward"),
        last.path("reward"),
        paired ? Optional.of(Interval.of(differences)) : Optional.empty(),
        after.size(),
        last.path("iteration").asInt());
  }
}
