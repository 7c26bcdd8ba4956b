package dev.vard.algorithm;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.datatype.jdk8.Jdk8Module;
import dev.vard.spec.AlgorithmSpec;
import dev.vard.spec.EvaluateSpec;
import java.util.List;
import org.junit.jupiter.api.Test;

class AlgorithmStateTest {
  private final ObjectMapper json = new ObjectMapper().registerModule(new Jdk8Module());

  @Test
  void shouldSurviveJsonAfterEveryStepOfVard() throws Exception {
    shouldGoOnFromJson(Specs.vard(3, 4, 1, 2));
  }

  @Test
  void shouldSurviveJsonAfterEveryStepOfDdpo() throws Exception {
    shouldGoOnFromJson(Specs.ddpo(3, 20));
  }

  private void shouldGoOnFromJson(AlgorithmSpec spec) throws Exception {
    Algorithm<?> algorithm =
        Algorithm.of(Specs.run(spec, List.of("a", "b"), new EvaluateSpec(2, 3)));
    for (AlgorithmState state :
        Drive.of(algorithm, Drive.world(algorithm, t -> 1.0 / (1 + t.seed() % 100), 33.3))
            .states()) {
      String text = json.writeValueAsString(state);

      assertThat(json.readValue(text, AlgorithmState.class)).isEqualTo(state);
      assertThat(json.writeValueAsString(json.readValue(text, AlgorithmState.class)))
          .isEqualTo(text);
    }
  }
}
