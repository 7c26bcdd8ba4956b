package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.vard.run.KeptFormat;
import dev.vard.run.RunException;
import dev.vard.run.RunState;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class StateJsonTest {
  private final StateJson json = new StateJson();
  private final ObjectMapper mapper = new ObjectMapper();

  private ObjectNode written(RunState state) throws Exception {
    return (ObjectNode) mapper.readTree(json.write(state));
  }

  @Test
  void shouldSayItsVersionAndReadWhatItWrote() throws Exception {
    for (RunState state : List.of(Made.state(7), Made.ddpo(7), Made.finished(Made.state(7)))) {
      assertThat(written(state).get("format").intValue()).isEqualTo(KeptFormat.CURRENT);
      assertThat(json.read(json.write(state))).isEqualTo(state);
    }
  }

  /** As every program before there were versions wrote it. */
  @Test
  void shouldReadWhatSaysNoVersion() throws Exception {
    ObjectNode old = written(Made.state(7));
    old.remove("format");

    assertThat(json.read(old.toString())).isEqualTo(Made.state(7));
  }

  @Test
  void shouldRefuseANewerVersionByNameWhateverElseIsInIt() throws Exception {
    ObjectNode newer =
        written(Made.state(7)).put("format", KeptFormat.CURRENT + 1).put("what", "is this?");

    assertThatThrownBy(() -> json.read(newer.toString()))
        .isInstanceOf(RunException.class)
        .hasMessage(
            "the run's state was written by a newer vard: its state format is 4; this program reads"
                + " up to 3; go on with the vard that wrote it, or a newer one")
        .extracting(e -> ((RunException) e).code())
        .isEqualTo(RunException.NEWER_STATE);
  }

  @Test
  void shouldReadMetricsThatStoodBesideTheLossBeforeTheyHadNames() {
    String now = json.write(Made.state(3));
    String old =
        now.replaceFirst(
            "\"metrics\":\\{\"objective\":2.0,\"odd\":\"NaN\"}",
            "\"objective\":2.0,\"clipped\":0.25");
    assertThat(old).isNotEqualTo(now);

    assertThat(json.read(old).iteration().policy().orElseThrow().metrics())
        .isEqualTo(Map.of("objective", 2.0, "clipped", 0.25));
    assertThat(json.read(old).iteration().policy().orElseThrow().klPerTrajectory()).isEqualTo(3);
  }
}
