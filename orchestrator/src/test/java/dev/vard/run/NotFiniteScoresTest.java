package dev.vard.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.vard.proto.v1.FitValueRequest;
import dev.vard.proto.v1.ImprovePolicyRequest;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecReader;
import dev.vard.worker.WorkerClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Finite scores, whose sums, means or deviations are not: told by name, never carried on. */
@Timeout(120)
class NotFiniteScoresTest {
  private static final String SPEC =
      """
      name: test
      model: {checkpoint: owner/name}
      prompts: {list: [a cat, a dog]}
      reward: %s
      algorithm: {kind: vard, iterations: 3, samples: 4, value: {warmup: 1}}
      evaluate: {images: 4}
      threads: 1
      """;

  /** Scores around 1e200: finite, but their squares are not. */
  public static final class Huge implements Reward {
    @Override
    public String name() {
      return "huge";
    }

    @Override
    public List<RewardOutcome> score(List<RewardQuery> queries) {
      return queries.stream()
          .<RewardOutcome>map(
              query -> new RewardOutcome.Score(1e200 * (1 + query.image().at(0, 0, 0))))
          .toList();
    }
  }

  @TempDir private Path folder;

  private RunException failure(String reward, String... overrides) throws Exception {
    String huge = "kind: java, class: " + Huge.class.getName();
    String text = SPEC.formatted(reward.replace("HUGE", huge));
    RunSpec spec =
        new SpecReader(Path.of(""), 1).read(text, "test.yaml", Path.of(""), List.of(overrides));
    try (FakeWorker worker = new FakeWorker();
        WorkerClient client = worker.connect()) {
      RunException e =
          catchThrowableOfType(
              RunException.class,
              () ->
                  new FineTuning(spec)
                      .run(client, RunFolder.at(folder.resolve("run"), spec), event -> {}));
      assertThat(worker.all(FitValueRequest.class)).isEmpty();
      assertThat(worker.all(ImprovePolicyRequest.class)).isEmpty();
      return e;
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"seed=1", "algorithm={kind: ddpo, iterations: 3, samples: 4}"})
  void shouldFailByNameWhereARewardIsTooLargeToNormalise(String algorithm) throws Exception {
    RunException e = failure("{HUGE}", algorithm);

    assertThat(e.code()).isEqualTo("NOT_FINITE");
    assertThat(e.remedy()).isEqualTo(RunException.Remedy.NONE);
    assertThat(e)
        .hasMessageContaining("while evaluating after 0 iterations: the reward ")
        .hasMessageContaining("is too large to take a mean and deviation of")
        .hasMessageContaining("a smaller reward.weight");
    assertThat(Files.readString(folder.resolve("run/metrics.jsonl")))
        .contains("\"reason_code\":\"NOT_FINITE\"")
        .doesNotContain("\"event\":\"evaluated\"");
  }

  @Test
  void shouldFailByNameWhereThePartsOfASumHaveNoFiniteDeviation() throws Exception {
    RunException e =
        failure("{kind: sum, parts: [{HUGE, name: huge}, {kind: jpeg-compressibility}]}");

    assertThat(e.code()).isEqualTo("NOT_FINITE");
    assertThat(e).hasMessageContaining("the variance of the scores became Infinity");
  }
}
