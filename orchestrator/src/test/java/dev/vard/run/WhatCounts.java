package dev.vard.run;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** A run's metrics but for times, and for what tells of the machinery. */
final class WhatCounts {
  private static final Set<String> OPERATIONAL = Set.of("checkpointed", "recovered");

  private WhatCounts() {}

  static List<String> of(List<String> events) throws IOException {
    List<String> metrics = new ArrayList<>();
    for (String line : events) {
      ObjectNode event = (ObjectNode) new ObjectMapper().readTree(line);
      event.remove(List.of("seconds", "time", "export"));
      // Of how the scores were had, what they were counts.
      JsonNode scoring = event.remove("scoring");
      if (scoring != null) {
        ObjectNode means = event.putObject("means");
        scoring
            .get("parts")
            .forEach(part -> means.set(part.get("name").asText(), part.get("mean")));
        event.set("dropped", scoring.get("dropped"));
      }
      if (!OPERATIONAL.contains(event.get("event").asText())) {
        metrics.add(event.toString());
      }
    }
    return metrics;
  }
}
