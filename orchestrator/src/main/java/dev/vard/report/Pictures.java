package dev.vard.report;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.report.ReportException.Code;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.StreamSupport;

/**
 * The evaluation's pictures before training and after it.
 *
 * @param pairs in the evaluation's order
 * @param omitted pairs beyond the page's {@value #MOST}
 * @param afterIteration iterations done when the second pictures were drawn
 * @param pixelated whether the pictures are so small that each pixel is to be seen
 */
record Pictures(
    List<Pair> pairs, int omitted, int afterIteration, int width, int height, boolean pixelated) {
  static final int MOST = 64;

  /** The same prompt and seed, twice. {@code kl} in nats, of the second. */
  record Pair(
      String prompt,
      String seed,
      Optional<String> before,
      Optional<String> after,
      Optional<Double> rewardBefore,
      Optional<Double> rewardAfter,
      Optional<Double> kl) {}

  static Pictures read(Path folder, List<JsonNode> evaluations) {
    Path samples = folder.resolve("samples");
    Path list = samples.resolve("evaluation.json");
    if (evaluations.isEmpty() || !Files.exists(list)) {
      return new Pictures(List.of(), 0, 0, 0, 0, false);
    }
    JsonNode before = evaluations.getFirst();
    JsonNode after = evaluations.getLast();
    boolean compared = evaluations.size() > 1;
    List<Pair> pairs = new ArrayList<>();
    int width = 0;
    int height = 0;
    List<JsonNode> items;
    try {
      items =
          StreamSupport.stream(new ObjectMapper().readTree(list.toFile()).spliterator(), false)
              .toList();
      for (int i = 0; i < Math.min(items.size(), MOST); i++) {
        Optional<Thumbnail> first = thumbnail(samples, before, i);
        Optional<Thumbnail> second = compared ? thumbnail(samples, after, i) : Optional.empty();
        for (Thumbnail picture :
            List.of(first, second).stream().flatMap(Optional::stream).toList()) {
          width = Math.max(width, picture.width());
          height = Math.max(height, picture.height());
        }
        if (first.isPresent() || second.isPresent()) {
          pairs.add(
              new Pair(
                  items.get(i).path("prompt").asText(),
                  // As text: JavaScript's numbers do not hold 64 bits.
                  items.get(i).path("seed").asText(),
                  first.map(Thumbnail::uri),
                  second.map(Thumbnail::uri),
                  number(before.path("rewards").path(i)),
                  compared ? number(after.path("rewards").path(i)) : Optional.empty(),
                  compared ? number(after.path("kls").path(i)) : Optional.empty()));
        }
      }
    } catch (IOException e) {
      throw new ReportException(Code.STORAGE, samples + " cannot be read: " + e, e);
    }
    return new Pictures(
        List.copyOf(pairs),
        Math.max(0, items.size() - MOST),
        after.path("iteration").asInt(),
        width,
        height,
        Math.max(width, height) <= Thumbnail.AS_IT_IS);
  }

  private static Optional<Thumbnail> thumbnail(Path samples, JsonNode evaluation, int index)
      throws IOException {
    Path file =
        samples.resolve("%04d/%04d.png".formatted(evaluation.path("iteration").asInt(), index));
    return Files.exists(file) ? Optional.of(Thumbnail.of(file)) : Optional.empty();
  }

  private static Optional<Double> number(JsonNode node) {
    return node.isNumber() ? Optional.of(node.asDouble()) : Optional.empty();
  }
}
