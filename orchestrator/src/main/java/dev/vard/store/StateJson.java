package dev.vard.store;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.datatype.jdk8.Jdk8Module;
import dev.vard.run.RunState;

/**
 * A run's state as JSON: what is read is equal to what was written, to the bit. So NaN is {@code
 * "NaN"} here, and not null as in the events, which are for others.
 */
final class StateJson {
  private final ObjectMapper mapper = JsonMapper.builder().addModule(new Jdk8Module()).build();

  String write(RunState state) {
    try {
      return mapper.writeValueAsString(state);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("the state of step " + state.step() + " is no JSON", e);
    }
  }

  RunState read(String json) {
    try {
      return mapper.readValue(json, RunState.class);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a stored state cannot be read: " + json, e);
    }
  }
}
