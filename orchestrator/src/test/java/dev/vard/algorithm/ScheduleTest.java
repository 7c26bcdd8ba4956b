package dev.vard.algorithm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.spec.EvaluateSpec;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class ScheduleTest {
  private static final List<String> PROMPTS =
      IntStream.range(0, 7).mapToObj(i -> "prompt " + i).toList();

  private static Schedule schedule(long seed, int samples) {
    return Specs.schedule(seed, PROMPTS, samples, new EvaluateSpec(3, 10));
  }

  private static Stream<Trajectory> trajectories(Schedule schedule, int iterations) {
    return IntStream.rangeClosed(1, iterations).boxed().flatMap(k -> schedule.training(k).stream());
  }

  @Test
  void shouldDrawEachPromptEquallyOften() {
    // 14 iterations of 5 are 10 times 7 prompts.
    List<String> drawn = trajectories(schedule(1, 5), 14).map(Trajectory::prompt).toList();

    assertThat(PROMPTS)
        .allSatisfy(prompt -> assertThat(Collections.frequency(drawn, prompt)).isEqualTo(10));
  }

  @Test
  void shouldShuffleEachDeckAnew() {
    List<String> drawn = trajectories(schedule(1, 7), 20).map(Trajectory::prompt).toList();
    Set<List<String>> decks = new HashSet<>();
    for (int i = 0; i < drawn.size(); i += 7) {
      decks.add(new ArrayList<>(drawn.subList(i, i + 7)));
    }

    assertThat(decks).hasSizeGreaterThan(15);
  }

  @Test
  void shouldFollowTheSeed() {
    assertThat(schedule(1, 5).training(3)).isEqualTo(schedule(1, 5).training(3));
    assertThat(schedule(2, 5).training(3)).isNotEqualTo(schedule(1, 5).training(3));
  }

  @Test
  void shouldEvaluateOnPromptsInTheirOrder() {
    assertThat(schedule(1, 5).evaluation().stream().map(Trajectory::prompt))
        .startsWith("prompt 0", "prompt 1")
        .endsWith("prompt 6", "prompt 0", "prompt 1", "prompt 2")
        .hasSize(10);
  }

  @Test
  void shouldNeverTrainOnEvaluationSeeds() {
    Schedule schedule = schedule(1, 100);
    Set<Long> seeds = new HashSet<>();
    trajectories(schedule, 50).forEach(t -> seeds.add(t.seed()));

    assertThat(seeds).hasSize(5000);
    assertThat(schedule.evaluation()).noneMatch(t -> seeds.contains(t.seed()));
  }

  @Test
  void shouldDrawWithoutPromptsFromUnconditionalModels() {
    Schedule schedule = Specs.schedule(1, List.of(), 3, new EvaluateSpec(1, 2));

    assertThat(schedule.training(1)).extracting(Trajectory::prompt).containsOnly("");
  }
}
