package dev.vard.spec;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** How much work a megabyte that somebody else sent can make. */
class SpecBoundsTest {
  private static final String HEAD =
      """
      name: test
      model: {checkpoint: tiny}
      prompts: {list: [a cat]}
      algorithm: {kind: ddpo, iterations: 3, samples: 4}
      evaluate: {every: 2, images: 5}
      """;
  private static final String SUM = HEAD + "reward:\n  kind: sum\n  parts:\n";
  private static final int MEGABYTE = 1_000_000;

  @TempDir private Path models;

  @BeforeEach
  void makeModel() throws IOException {
    Files.createDirectories(models.resolve("tiny"));
  }

  @Test
  void shouldReadNoPartOfASumThatHasTooMany() {
    assertThat(problems(SUM + "  - {}\n".repeat(MEGABYTE / 7)))
        .singleElement()
        .satisfies(
            problem ->
                assertThat(problem.toString())
                    .isEqualTo(
                        "specification:8: reward.parts: has 142857 items, which is above 64; give a"
                            + " list of at most 64 rewards, each with its kind and keys"));
  }

  @Test
  void shouldReadNoKeyOfAMappingThatHasTooMany() {
    StringBuilder text = new StringBuilder(HEAD);
    for (int i = 0; i < 1_000; i++) {
      text.append("k").append(i).append(": 1\n");
    }

    assertThat(problems(text.toString()))
        .singleElement()
        .extracting(SpecProblem::toString)
        .isEqualTo("specification:1: has 1005 keys; give at most 1000");
  }

  @Test
  void shouldTellOfAHundredDuplicatesAtMost() {
    assertThat(problems("a: 1\n".repeat(1_000)))
        .filteredOn(problem -> problem.code() == SpecProblem.Code.DUPLICATE_KEY)
        .hasSize(Given.MOST_PROBLEMS);
  }

  /** Of a budget of 2^63 - 1 each iteration was counted, for ever. */
  @Test
  @Timeout(10)
  void shouldKnowAtOnceWhatAnyBudgetPaysFor() {
    String text =
        HEAD + "reward: {kind: jpeg-compressibility}\nbudget: {queries: " + Long.MAX_VALUE + "}\n";

    assertThat(read(text).iterations()).isEqualTo(3);
    for (int every = 1; every <= 4; every++) {
      EvaluateSpec evaluate = new EvaluateSpec(every, 5);
      for (int budget = 1; budget < 200; budget++) {
        int iterations = RunSpec.affordable(OptionalLong.of(budget), 4, evaluate);
        assertThat(cost(iterations + 1, every)).isGreaterThan(budget);
        assertThat(iterations == 0 || cost(iterations, every) <= budget).isTrue();
      }
    }
  }

  private static int cost(int iterations, int every) {
    return iterations * 4 + (1 + Math.ceilDiv(iterations, every)) * 5;
  }

  @Test
  void shouldStopReadingWhenNobodyWaitsForIt() throws Exception {
    String text = HEAD + "x: [" + "1,".repeat(MEGABYTE / 2) + "]\n";
    long[] nanos = new long[1];
    Thread reading =
        Thread.ofPlatform()
            .start(
                () -> {
                  Thread.currentThread().interrupt();
                  long begun = System.nanoTime();
                  assertThat(problems(text).getFirst().message()).contains("was given up");
                  nanos[0] = System.nanoTime() - begun;
                });
    reading.join();

    assertThat(Duration.ofNanos(nanos[0])).isPositive().isLessThan(Duration.ofMillis(200));
  }

  private List<SpecProblem> problems(String text) {
    return catchThrowableOfType(SpecException.class, () -> read(text)).problems();
  }

  private RunSpec read(String text) {
    return SpecReader.confined(new Confinement(List.of(models), false, 100_000, Set.of()))
        .read(text, "specification", Path.of(""), List.of());
  }
}
