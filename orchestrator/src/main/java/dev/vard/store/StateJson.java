package dev.vard.store;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.datatype.jdk8.Jdk8Module;
import dev.vard.run.KeptFormat;
import dev.vard.run.RunException;
import dev.vard.run.RunState;
import java.util.List;

/**
 * A run's state as JSON: what is read is equal to what was written, to the bit. So NaN is {@code
 * "NaN"} here, and not null as in the events, which are for others.
 */
final class StateJson {
  private final ObjectMapper mapper = JsonMapper.builder().addModule(new Jdk8Module()).build();

  /** The state's own fields, and beside them the version of all that is in it. */
  private record Kept(int format, @JsonUnwrapped RunState state) {}

  String write(RunState state) {
    try {
      return mapper.writeValueAsString(new Kept(KeptFormat.CURRENT, state));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("the state of step " + state.step() + " is no JSON", e);
    }
  }

  /**
   * @throws RunException NEWER_STATE
   */
  RunState read(String json) {
    try {
      ObjectNode kept = (ObjectNode) mapper.readTree(json);
      JsonNode format = kept.remove("format");
      KeptFormat.require(
          "the run's state", format == null ? KeptFormat.UNNAMED : format.intValue());
      nameMetrics(kept.path("iteration").path("policy"));
      return mapper.treeToValue(kept, RunState.class);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a stored state cannot be read: " + json, e);
    }
  }

  /** Before the policy's metrics had names, those of the first methods stood beside the loss. */
  private static void nameMetrics(JsonNode policy) {
    if (policy instanceof ObjectNode told && !told.has("metrics")) {
      JsonNode metrics = told.deepCopy().retain("objective", "clipped");
      told.remove(List.of("objective", "clipped"));
      told.set("metrics", metrics);
    }
  }
}
