package dev.vard.serve;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.serve.Runs.SampleView;
import dev.vard.store.RunStore;
import dev.vard.store.StoredEvent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeMap;

/**
 * The images of a run's evaluations: rewards from its events, prompts and seeds from its folder.
 */
final class Samples {
  private static final int EVENTS = 256;
  private static final ObjectMapper JSON = new ObjectMapper();

  private final RunStore store;

  Samples(RunStore store) {
    this.store = store;
  }

  /**
   * @param iteration only of this evaluation
   * @return by evaluation, then in the order of the images
   */
  List<SampleView> of(String runId, Path folder, OptionalInt iteration) throws IOException {
    Map<Integer, List<Double>> rewards = rewards(runId);
    if (rewards.isEmpty()) {
      return List.of();
    }
    JsonNode images = JSON.readTree(Files.readAllBytes(folder.resolve("samples/evaluation.json")));
    List<SampleView> samples = new ArrayList<>();
    rewards.forEach(
        (after, values) -> {
          if (iteration.isEmpty() || iteration.getAsInt() == after) {
            for (int i = 0; i < values.size(); i++) {
              samples.add(
                  new SampleView(
                      "samples/%04d/%04d.png".formatted(after, i),
                      after,
                      i,
                      images.path(i).path("prompt").asText(),
                      images.path(i).path("seed").asLong(),
                      values.get(i)));
            }
          }
        });
    return samples;
  }

  /** Of each evaluation, by the iterations that had been done. */
  private Map<Integer, List<Double>> rewards(String runId) {
    Map<Integer, List<Double>> rewards = new TreeMap<>();
    long last = 0;
    List<StoredEvent> events;
    do {
      events = store.events(runId, last, EVENTS);
      for (StoredEvent event : events) {
        last = event.sequence();
        if (event.json().startsWith("{\"event\":\"evaluated\"")) {
          JsonNode evaluated = parse(event);
          List<Double> values = new ArrayList<>();
          evaluated.path("rewards").forEach(value -> values.add(value.asDouble(Double.NaN)));
          rewards.put(evaluated.path("iteration").asInt(), values);
        }
      }
    } while (events.size() == EVENTS);
    return rewards;
  }

  private static JsonNode parse(StoredEvent event) {
    try {
      return JSON.readTree(event.json());
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(
          "event " + event.sequence() + " of run " + event.runId() + " is no JSON", e);
    }
  }
}
