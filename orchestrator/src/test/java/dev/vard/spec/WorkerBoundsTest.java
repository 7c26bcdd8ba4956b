package dev.vard.spec;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.worker.WorkerEnvironment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What the reader lets through, the worker takes: asked of the worker's own checks, which would
 * refuse it only once queries are paid.
 */
class WorkerBoundsTest {
  private static final Map<String, Long> BOUNDS = new HashMap<>();

  @TempDir private Path folder;
  private SpecFixture specs;

  @BeforeEach
  void makeFolder() {
    specs = new SpecFixture(folder);
  }

  /** All of {@code vard_worker.checks}: to import it takes long. */
  @BeforeAll
  static void askTheWorker() throws Exception {
    String program =
        "from vard_worker import checks\n"
            + "for name, value in vars(checks).items():\n"
            + "    if name.startswith('MAX_'): print(name, int(value))";
    Process python =
        WorkerEnvironment.find()
            .process("-c", program)
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    String said = new String(python.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(python.waitFor()).isZero();
    said.lines()
        .map(line -> line.split(" "))
        .forEach(bound -> BOUNDS.put(bound[0], Long.parseLong(bound[1])));
  }

  private static long bound(String name) {
    assertThat(BOUNDS).containsKey(name);
    return BOUNDS.get(name);
  }

  private void assertBound(String name, String key, long step) {
    long most = bound(name);
    String text = SpecFixture.SPEC + "  iterations: 4\n";
    assertThat(specs.read(text, key + "=" + most)).as(name).isNotNull();
    assertThat(specs.problems(text, key + "=" + (most + step))).as(name).hasSize(1);
  }

  @Test
  void shouldHaveTheWorkersBounds() {
    assertBound("MAX_BATCH", "sampler.batch", 1);
    assertBound("MAX_BATCH", "algorithm.policy.batch", 1);
    assertBound("MAX_BATCH", "algorithm.value.batch", 1);
    assertBound("MAX_BATCH", "algorithm.policy.micro-batch", 1);
    assertBound("MAX_BATCH", "algorithm.value.micro-batch", 1);
    assertBound("MAX_SIDE", "model.height", 1);
    assertBound("MAX_SIDE", "model.width", 1);
    assertBound("MAX_WIDTH", "algorithm.value.width", 8);
    assertBound("MAX_RANK", "model.adapter.rank", 1);
    assertBound("MAX_TRAJECTORIES", "algorithm.samples", 1);
    assertBound("MAX_TRAJECTORIES", "evaluate.images", 1);
    assertThat(bound("MAX_PROMPT")).isEqualTo(PromptFile.LONGEST);
    assertThat(bound("MAX_STEPS")).isGreaterThanOrEqualTo(100_000);

    long steps = bound("MAX_PAIRS") / 4096;
    String text = SpecFixture.SPEC + "  policy: {batch: 4096, steps: %d}\n";
    assertThat(specs.read(text.formatted(steps))).isNotNull();
    assertThat(specs.problems(text.formatted(steps + 1))).hasSize(1);
    assertThat(bound("MAX_TARGETS")).isEqualTo(Feasibility.MOST_TARGETS);
  }

  @Test
  void shouldRefuseMoreTargetsThanAWorkerTakes() {
    StringBuilder targets = new StringBuilder();
    for (int i = 0; i <= Feasibility.MOST_TARGETS; i++) {
      targets.append(i == 0 ? "" : ", ").append("m").append(i);
    }

    assertThat(specs.problems(SpecFixture.SPEC, "model.adapter.targets=[" + targets + "]"))
        .singleElement()
        .asString()
        .endsWith("has 257 names; give at most 256");
  }
}
