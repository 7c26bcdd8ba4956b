package dev.vard.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.report.ReportException.Code;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The events of a run's {@code metrics.jsonl}, as its lines have them.
 *
 * @param evaluations in order; where an iteration was evaluated twice, the later one
 * @param iterations in order; where an iteration was done twice, the later one
 * @param warnings in order
 * @param ending {@code finished}, or the {@code state_changed} to {@code FAILED}, {@code CANCELLED}
 *     or {@code PAUSED}; empty for a run that goes on or was killed
 */
record Metrics(
    JsonNode started,
    List<JsonNode> evaluations,
    List<JsonNode> iterations,
    List<JsonNode> warnings,
    Optional<JsonNode> ending) {

  /**
   * A last line without its end is left out: the run was killed while it wrote it, or writes it
   * now.
   */
  static Metrics read(Path file) {
    String text;
    try {
      text = new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new ReportException(
          Code.NO_RUN, file + " cannot be read; give a folder that a run has written: " + e, e);
    }
    List<String> lines = text.substring(0, text.lastIndexOf('\n') + 1).lines().toList();
    Optional<JsonNode> started = Optional.empty();
    Optional<JsonNode> ending = Optional.empty();
    SortedMap<Integer, JsonNode> evaluations = new TreeMap<>();
    SortedMap<Integer, JsonNode> iterations = new TreeMap<>();
    List<JsonNode> warnings = new ArrayList<>();
    ObjectMapper mapper = new ObjectMapper();
    for (int i = 0; i < lines.size(); i++) {
      JsonNode event = parse(mapper, lines.get(i), file, i + 1);
      switch (event.path("event").asText()) {
        case "started" -> started = Optional.of(event);
        case "evaluated" -> evaluations.put(event.path("iteration").asInt(), event);
        case "iteration" -> iterations.put(event.path("iteration").asInt(), event);
        case "warned" -> warnings.add(event);
        case "finished" -> ending = Optional.of(event);
        case "state_changed" -> {
          switch (event.path("to").asText()) {
            case "WAITING", "RUNNING" -> ending = Optional.empty();
            case "FAILED", "CANCELLED", "PAUSED" -> ending = Optional.of(event);
            // DONE says nothing that `finished` has not said.
            default -> {}
          }
        }
        // Written by a later version: the rest can still be shown.
        default -> {}
      }
    }
    return new Metrics(
        started.orElseThrow(
            () ->
                new ReportException(
                    Code.NO_RUN,
                    file + " tells of no run's start; there is nothing to report yet")),
        List.copyOf(evaluations.values()),
        List.copyOf(iterations.values()),
        List.copyOf(warnings),
        ending);
  }

  private static JsonNode parse(ObjectMapper mapper, String line, Path file, int number) {
    try {
      return mapper.readTree(line);
    } catch (JsonProcessingException e) {
      throw new ReportException(
          Code.BAD_METRICS,
          "%s: line %d is not JSON; mend or remove it: %s"
              .formatted(file, number, e.getOriginalMessage()),
          e);
    }
  }
}
