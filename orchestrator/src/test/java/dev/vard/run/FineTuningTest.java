package dev.vard.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.entry;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.proto.v1.EvaluateRequest;
import dev.vard.proto.v1.ExportRequest;
import dev.vard.proto.v1.FitValueRequest;
import dev.vard.proto.v1.ImprovePolicyRequest;
import dev.vard.proto.v1.OpenRequest;
import dev.vard.proto.v1.SampleRequest;
import dev.vard.run.RunEvent.Phase;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecReader;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;

/** A run that comes to its end: what it asks the worker for, and what it leaves behind. */
class FineTuningTest extends FineTuningBehaviour {
  @Test
  void shouldTrainToTheEnd() {
    RunResult result = run(spec(), BRIGHTNESS);

    assertThat(result.runId()).startsWith("test-");
    assertThat(result.iterations()).isEqualTo(3);
    assertThat(result.rewardQueries()).isEqualTo(3 * 4);
    assertThat(result.evaluationQueries()).isEqualTo(3 * 5);
    // Two iterations after the warm-up improve the policy, each by ten.
    assertThat(result.rewardAfter().mean()).isEqualTo(result.rewardBefore().mean() + 20);
    assertThat(result.klPerTrajectory()).isEqualTo(2 * FakeImages.KL_PER_IMPROVEMENT);
    assertThat(result.seconds().total())
        .isGreaterThan(
            result.seconds().sample() + result.seconds().value() + result.seconds().policy());
    assertThat(folder.resolve("run/export/pytorch_lora_weights.safetensors"))
        .content()
        .startsWith("improved 2,");
    assertThat(result.export()).isEqualTo(folder.resolve("run/export").toString());
    assertThat(worker.isOpen()).isFalse();
  }

  @Test
  void shouldWriteDownWhatHappened() throws IOException {
    RunResult result = run(spec(), BRIGHTNESS);

    List<JsonNode> lines = metrics();
    assertThat(lines.stream().map(line -> line.get("event").asText()))
        .containsExactly(
            "started",
            "evaluated",
            "iteration",
            "iteration",
            "evaluated",
            "iteration",
            "evaluated",
            "finished");
    JsonNode started = lines.get(0);
    assertThat(started.get("algorithm").asText()).isEqualTo("vard");
    assertThat(started.get("kl_budget").asDouble()).isEqualTo(10);
    assertThat(started.get("time").asText()).matches("\\d{4}-\\d\\d-\\d\\dT.*Z");
    assertThat(started.has("folder")).isFalse();

    JsonNode warmup = lines.get(2);
    assertThat(warmup.get("phase").asText()).isEqualTo("warmup");
    assertThat(warmup.get("policy").isNull()).isTrue();
    assertThat(warmup.at("/value/loss").asDouble()).isEqualTo(3.0); // of the second half: 4, 2
    assertThat(warmup.at("/value/by_timestep/0/timestep").asInt()).isEqualTo(751);
    assertThat(warmup.at("/value/by_timestep/0/r2").isNull()).as("NaN").isTrue();
    assertThat(warmup.at("/value/by_timestep/1/r2").asDouble()).isEqualTo(0.75);

    JsonNode train = lines.get(3);
    assertThat(train.get("phase").asText()).isEqualTo("train");
    assertThat(train.get("iteration").asInt()).isEqualTo(2);
    assertThat(train.get("reward_queries").asInt()).isEqualTo(8);
    assertThat(train.at("/policy/loss").asDouble()).isEqualTo(-0.5);
    assertThat(train.at("/policy/kl_per_trajectory").asDouble()).isEqualTo(20);
    assertThat(train.at("/policy/kl_weight").asDouble()).isEqualTo(0.2);
    assertThat(lines.get(5).at("/policy/kl_weight").asDouble()).isCloseTo(0.3, within(1e-12));

    JsonNode evaluated = lines.get(4);
    assertThat(evaluated.get("iteration").asInt()).isEqualTo(2);
    assertThat(evaluated.get("rewards")).hasSize(5);
    assertThat(evaluated.get("kls")).hasSize(5);

    JsonNode finished = lines.get(7);
    assertThat(finished.at("/reward_after/mean").asDouble()).isEqualTo(result.rewardAfter().mean());
    assertThat(finished.get("run_id").asText()).isEqualTo(result.runId());
  }

  @Test
  void shouldKeepEvaluationImagesPixelForPixel() throws IOException {
    run(spec(), BRIGHTNESS);

    JsonNode items =
        new ObjectMapper().readTree(folder.resolve("run/samples/evaluation.json").toFile());
    assertThat(items).hasSize(5);
    assertThat(items.get(0).get("prompt").asText()).isEqualTo("a cat");
    assertThat(items.get(1).get("prompt").asText()).isEqualTo("a dog");
    for (int i = 0; i < 5; i++) {
      long seed = items.get(i).get("seed").asLong();
      assertThat(grey("0000", i)).isEqualTo(FakeImages.grey(seed, 0));
      assertThat(grey("0003", i)).isEqualTo(FakeImages.grey(seed, 2));
    }
  }

  private int grey(String evaluation, int index) throws IOException {
    Path file = folder.resolve("run/samples/%s/%04d.png".formatted(evaluation, index));
    BufferedImage image = ImageIO.read(file.toFile());
    assertThat(image.getWidth()).isEqualTo(FakeImages.SIDE);
    return image.getRGB(1, 2) & 0xff;
  }

  @Test
  void shouldWriteASpecificationThatReadsAsTheSame() throws IOException {
    RunSpec spec = spec("seed=3");
    run(spec, BRIGHTNESS);

    String resolved = Files.readString(folder.resolve("run/spec.resolved.yaml"));
    assertThat(new SpecReader(Path.of(""), 9).read(resolved, "again", Path.of(""), List.of()))
        .isEqualTo(spec);
  }

  @Test
  void shouldTellListenersWhatItIsBusyWith() {
    run(spec("algorithm.iterations=2", "evaluate.every=5"), BRIGHTNESS);

    assertThat(
            events.stream()
                .filter(RunEvent.PhaseStarted.class::isInstance)
                .map(event -> ((RunEvent.PhaseStarted) event).phase()))
        .containsExactly(
            Phase.OPEN,
            Phase.EVALUATE,
            Phase.SAMPLE,
            Phase.SCORE,
            Phase.VALUE,
            Phase.SAMPLE,
            Phase.SCORE,
            Phase.VALUE,
            Phase.POLICY,
            Phase.EVALUATE,
            Phase.EXPORT);
    assertThat(events).contains(new RunEvent.Progress(1, Phase.SAMPLE, 3, 4));
    assertThat(((RunEvent.Started) events.getFirst()).evaluations()).isEqualTo(2);
  }

  @Test
  void shouldMeasureTheKlOfEvaluationsAloneAndKeepTrainingTrajectoriesAlone() {
    run(spec(), BRIGHTNESS);

    assertThat(worker.all(SampleRequest.class))
        .hasSize(6)
        .allSatisfy(
            request -> assertThat(request.getRetain()).isNotEqualTo(request.getMeasureKl()));
    assertThat(worker.held()).as("the replay's last iteration").hasSize(4);
  }

  @Test
  void shouldRunDdpoWithoutAValueNetwork() throws IOException {
    run(spec("algorithm={kind: ddpo, iterations: 2, samples: 4}"), BRIGHTNESS);

    assertThat(worker.all(OpenRequest.class).getFirst().hasValue()).isFalse();
    assertThat(worker.all(EvaluateRequest.class)).isEmpty();
    assertThat(worker.all(FitValueRequest.class)).isEmpty();
    assertThat(worker.all(ImprovePolicyRequest.class))
        .hasSize(2)
        .allSatisfy(
            request -> {
              assertThat(request.getNamed().getKind()).isEqualTo("clipped-ratio");
              assertThat(request.getNamed().getNumbersMap()).containsExactly(entry("clip", 1e-4));
              assertThat(request.getNamed().getSeriesMap()).containsOnlyKeys("advantage");
              assertThat(request.getNamed().getSeriesOrThrow("advantage").getValuesList())
                  .hasSize(4);
            });
    assertThat(metrics().get(2).get("value").isNull()).isTrue();
    JsonNode told = metrics().get(2).get("policy").get("metrics");
    assertThat(told.get("objective").asDouble()).isEqualTo(-0.75);
    assertThat(told.get("clipped").asDouble()).isEqualTo(0.1);
    assertThat(worker.held()).isEmpty();
  }

  @Test
  void shouldHaveTheFinalExportChecked() {
    run(spec(), BRIGHTNESS);

    assertThat(worker.all(ExportRequest.class))
        .singleElement()
        .satisfies(request -> assertThat(request.getUnchecked()).isFalse());
  }

  @Test
  void shouldWriteAReport() {
    run(spec(), BRIGHTNESS);

    assertThat(folder.resolve("run/report.html")).isNotEmptyFile();
  }
}
