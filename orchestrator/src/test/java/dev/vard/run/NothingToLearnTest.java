package dev.vard.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assertions.tuple;

import dev.vard.reward.Image;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecReader;
import dev.vard.worker.TinyModel;
import dev.vard.worker.WorkerClient;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.ToDoubleBiFunction;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A real worker process and a real model, with a reward or a chain that teaches nothing. */
@Timeout(300)
class NothingToLearnTest {
  private static final String SPEC =
      """
      name: tiny
      model: {checkpoint: %s, adapter: {rank: 2}}
      prompts: {list: [a cat, a dog]}
      sampler: {steps: 3, batch: 6}
      reward: {kind: supplied}
      algorithm:
        kind: vard
        iterations: 5
        samples: 6
        value: {warmup: 2, steps: 2, batch: 8, replay: 2}
        policy: {steps: 2, batch: 8}
      evaluate: {images: 24}
      threads: 1
      """;
  private static final String DDPO = "algorithm={kind: ddpo, iterations: 5, samples: 6}";

  private static final ToDoubleBiFunction<Image, String> LIGHT =
      (image, prompt) -> image.at(9, 9, 1);

  /** Has one score for all. */
  public static final class Fixed implements Reward {
    @Override
    public String name() {
      return "fixed";
    }

    @Override
    public List<RewardOutcome> score(List<RewardQuery> queries) {
      return queries.stream().<RewardOutcome>map(query -> new RewardOutcome.Score(0.25)).toList();
    }
  }

  @TempDir private Path folder;
  private static WorkerClient worker;
  private final List<RunEvent> events = new ArrayList<>();
  private final AtomicInteger queries = new AtomicInteger();

  @BeforeAll
  static void startWorker() {
    worker = FineTuning.openWorker(spec());
  }

  @AfterAll
  static void endWorker() {
    worker.close();
  }

  private static RunSpec spec(String... overrides) {
    return new SpecReader()
        .read(SPEC.formatted(TinyModel.folder()), "tiny.yaml", Path.of(""), List.of(overrides));
  }

  private RunResult run(RunSpec spec, ToDoubleBiFunction<Image, String> score) {
    Reward counted =
        Reward.of(
            "light",
            (image, prompt) -> {
              queries.incrementAndGet();
              return score.applyAsDouble(image, prompt);
            });
    return new FineTuning(spec, counted)
        .run(worker, RunFolder.at(folder.resolve("run"), spec), events::add);
  }

  private RunException failure(RunSpec spec, ToDoubleBiFunction<Image, String> score) {
    return catchThrowableOfType(RunException.class, () -> run(spec, score));
  }

  private List<RunEvent.Warned> warnings() {
    return events.stream()
        .filter(RunEvent.Warned.class::isInstance)
        .map(RunEvent.Warned.class::cast)
        .toList();
  }

  private boolean improved() {
    return events.stream()
        .anyMatch(
            event ->
                event instanceof RunEvent.PhaseStarted(int in, RunEvent.Phase phase)
                    && phase == RunEvent.Phase.POLICY);
  }

  @Test
  void shouldStopAfterAWarmUpWhoseScoresWereAllEqual() {
    RunException e = failure(spec(), (image, prompt) -> 0.5);

    assertThat(e.code()).isEqualTo("REWARD_CONSTANT");
    assertThat(e.remedy()).isEqualTo(RunException.Remedy.NONE);
    assertThat(e)
        .hasMessage(
            "reward light: in each of the first 2 iterations all scores were equal (0.5 in the"
                + " last), and equal scores teach nothing; check the reward on images that differ"
                + " (vard reward SPEC --images DIR) and start a new run; if scores differ rarely,"
                + " give more for algorithm.samples or algorithm.value.warmup");
    assertThat(queries).as("one evaluation and the warm-up").hasValue(24 + 2 * 6);
    assertThat(improved()).isFalse();
  }

  @Test
  void shouldStopAMethodWithoutAWarmUpAfterTwoIterations() {
    RunException e = failure(spec(DDPO), (image, prompt) -> -3);

    assertThat(e.code()).isEqualTo("REWARD_CONSTANT");
    assertThat(queries).hasValue(24 + 2 * 6);
  }

  @Test
  void shouldTakeScoresThatDifferInTheirLastBitsForEqual() {
    AtomicInteger calls = new AtomicInteger();

    RunException e =
        failure(spec(), (image, prompt) -> (float) 0.3 + (calls.getAndIncrement() % 2) * 3e-8);

    assertThat(e.code()).isEqualTo("REWARD_CONSTANT");
  }

  @Test
  void shouldWarnOnceOfRoundsInARowAndGoOnWhereOthersDiffer() {
    // Queries 24 to 29 are the first iteration's, 42 to 53 the fourth's and fifth's.
    run(
        spec(),
        (image, prompt) -> {
          int query = queries.get();
          return query > 24 && query <= 30 || query > 42 && query <= 54
              ? 1
              : LIGHT.applyAsDouble(image, prompt);
        });

    assertThat(warnings())
        .extracting(RunEvent.Warned::iteration, RunEvent.Warned::code)
        .containsExactly(tuple(1, "REWARD_CONSTANT"), tuple(4, "REWARD_CONSTANT"));
    assertThat(warnings().getFirst().message())
        .isEqualTo(
            "reward light: all 6 scores of iteration 1 are 1.0, and equal scores teach nothing;"
                + " check that the reward looks at the image and tells such images apart");
  }

  @Test
  void shouldWarnOfARewardThatLooksAtThePromptAlone() {
    run(spec("algorithm.iterations=3"), (image, prompt) -> prompt.length() + prompt.hashCode());

    assertThat(warnings())
        .extracting(RunEvent.Warned::iteration, RunEvent.Warned::code)
        .containsExactly(tuple(0, "REWARD_IGNORES_IMAGE"));
  }

  @Test
  void shouldSayNothingOfARewardThatDiffers() {
    run(spec("algorithm.iterations=3"), LIGHT);

    assertThat(warnings()).isEmpty();
  }

  @Test
  void shouldNameThePartOfASumThatIsConstant() {
    String sum =
        "reward={kind: sum, parts: [{kind: jpeg-compressibility}, {kind: java, name: fixed, class: "
            + Fixed.class.getName()
            + "}]}";
    RunSpec spec = spec(sum, "algorithm.iterations=3");

    new FineTuning(spec).run(worker, RunFolder.at(folder.resolve("run"), spec), events::add);

    assertThat(warnings()).extracting(RunEvent.Warned::iteration).containsExactly(0, 1);
    assertThat(warnings().getFirst().message()).startsWith("reward fixed: all 24 scores of");
  }

  @Test
  void shouldRefuseAChainThatTurnsOutToHaveNoNoiseBeforeAnythingIsPaid() {
    // DDPM's last step has no noise, and there is no other.
    RunException e = failure(spec("sampler={kind: ddpm, steps: 1}", DDPO), LIGHT);

    assertThat(e.code()).isEqualTo("CHAIN_WITHOUT_NOISE");
    assertThat(e)
        .hasMessage(
            "no step of this checkpoint's chain has noise (sampler.steps: 1), and DDPO learns from"
                + " noise alone: give more for sampler.steps, and a sampler.eta above 0");
    assertThat(queries).hasValue(0);
  }
}
