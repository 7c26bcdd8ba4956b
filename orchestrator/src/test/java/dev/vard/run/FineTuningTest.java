package dev.vard.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assertions.entry;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.proto.v1.CloseRequest;
import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.EvaluateRequest;
import dev.vard.proto.v1.ExportRequest;
import dev.vard.proto.v1.FitValueRequest;
import dev.vard.proto.v1.ImprovePolicyRequest;
import dev.vard.proto.v1.OpenRequest;
import dev.vard.proto.v1.SampleRequest;
import dev.vard.reward.Reward;
import dev.vard.run.RunEvent.Phase;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecReader;
import dev.vard.worker.WorkerClient;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Whole runs against a real gRPC server with a worker of few lines behind it. */
@Timeout(120)
class FineTuningTest {
  private static final String SPEC =
      """
      name: test
      model: {checkpoint: owner/name}
      prompts: {list: [a cat, a dog]}
      reward: {kind: supplied}
      algorithm:
        kind: vard
        iterations: 3
        samples: 4
        value: {warmup: 1, replay: 2}
        policy: {steps: 2}
        kl: {budget: 10}
      evaluate: {every: 2, images: 5}
      """;

  /** The grey of the image. */
  private static final Reward BRIGHTNESS =
      Reward.of("brightness", (image, prompt) -> image.at(0, 0, 0));

  @TempDir private Path folder;
  private FakeWorker worker;
  private final List<RunEvent> events = new ArrayList<>();

  @BeforeEach
  void startWorker() throws IOException {
    worker = new FakeWorker();
  }

  @AfterEach
  void endWorker() {
    worker.close();
  }

  private static RunSpec spec(String... overrides) {
    return new SpecReader(Path.of(""), 1).read(SPEC, "test.yaml", Path.of(""), List.of(overrides));
  }

  private RunResult run(RunSpec spec, Reward reward) {
    try (WorkerClient client = worker.connect()) {
      return new FineTuning(spec, reward)
          .run(client, RunFolder.at(folder.resolve("run"), spec), events::add);
    }
  }

  private RunException failure(RunSpec spec, Reward reward) {
    return catchThrowableOfType(RunException.class, () -> run(spec, reward));
  }

  private List<JsonNode> metrics() throws IOException {
    List<JsonNode> lines = new ArrayList<>();
    for (String line : Files.readAllLines(folder.resolve("run/metrics.jsonl"))) {
      lines.add(new ObjectMapper().readTree(line));
    }
    return lines;
  }

  @Test
  void shouldTrainToTheEnd() {
    RunResult result = run(spec(), BRIGHTNESS);

    assertThat(result.runId()).startsWith("test-");
    assertThat(result.iterations()).isEqualTo(3);
    assertThat(result.rewardQueries()).isEqualTo(3 * 4);
    assertThat(result.evaluationQueries()).isEqualTo(3 * 5);
    // Two iterations after the warm-up improve the policy, each by ten.
    assertThat(result.rewardAfter().mean()).isEqualTo(result.rewardBefore().mean() + 20);
    assertThat(result.klPerTrajectory()).isEqualTo(2 * FakeWorker.KL_PER_IMPROVEMENT);
    assertThat(result.seconds().total())
        .isGreaterThan(
            result.seconds().sample() + result.seconds().value() + result.seconds().policy());
    assertThat(folder.resolve("run/export/pytorch_lora_weights.safetensors"))
        .content()
        .startsWith("improved 2,");
    assertThat(result.export()).isEqualTo(folder.resolve("run/export").toString());
    assertThat(worker.open).isFalse();
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
      assertThat(grey("0000", i)).isEqualTo(FakeWorker.grey(seed, 0));
      assertThat(grey("0003", i)).isEqualTo(FakeWorker.grey(seed, 2));
    }
  }

  private int grey(String evaluation, int index) throws IOException {
    Path file = folder.resolve("run/samples/%s/%04d.png".formatted(evaluation, index));
    BufferedImage image = ImageIO.read(file.toFile());
    assertThat(image.getWidth()).isEqualTo(FakeWorker.SIDE);
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
    assertThat(worker.held).as("the replay's last iteration").hasSize(4);
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
    assertThat(worker.held).isEmpty();
  }

  @Test
  void shouldStopWhenARewardFails() throws IOException {
    AtomicInteger queries = new AtomicInteger();
    Reward reward =
        Reward.of("fickle", (image, prompt) -> queries.incrementAndGet() > 7 ? Double.NaN : 1);

    RunException e = failure(spec("threads=1"), reward);

    assertThat(e.code()).isEqualTo("REWARD_FAILED");
    assertThat(e)
        .hasMessageMatching(
            "while (sampling in iteration 1|the scores of iteration 1 were awaited): reward fickle:"
                + " gave NaN, not a finite number; prompt 'a (cat|dog)', seed \\d+"
                + " \\(NOT_FINITE\\)");
    assertThat(worker.all(FitValueRequest.class)).isEmpty();
    assertThat(metrics().getLast().get("event").asText()).isEqualTo("state_changed");
    assertThat(metrics().getLast().get("to").asText()).isEqualTo("FAILED");
    assertThat(metrics().getLast().get("reason_code").asText()).isEqualTo("REWARD_FAILED");
    assertThat(folder.resolve("run/export")).as("the adapter as it was").isNotEmptyDirectory();
    assertThat(worker.open).isFalse();
  }

  @Test
  void shouldTellTheWorkersErrorAndWhereItCame() throws IOException {
    worker.refuse(
        ImprovePolicyRequest.class, ErrorCode.NOT_FINITE, "the loss became NaN: lower the rate");

    RunException e = failure(spec(), BRIGHTNESS);

    assertThat(e.code()).isEqualTo("NOT_FINITE");
    assertThat(e)
        .hasMessage(
            "while improving the policy in iteration 2: the loss became NaN: lower the rate");
    assertThat(metrics().getLast().get("reason_code").asText()).isEqualTo("NOT_FINITE");
  }

  @Test
  void shouldLetNoNumberThroughThatIsNotFinite() {
    worker.gradientNorm = Double.NaN;

    RunException e = failure(spec(), BRIGHTNESS);

    assertThat(e.code()).isEqualTo("NOT_FINITE");
    assertThat(e)
        .hasMessageStartingWith(
            "while improving the policy in iteration 2: ImprovePolicy: the gradient's norm of step"
                + " 1 arrived as NaN");
  }

  @Test
  void shouldHaveTheFinalExportChecked() {
    run(spec(), BRIGHTNESS);

    assertThat(worker.all(ExportRequest.class))
        .singleElement()
        .satisfies(request -> assertThat(request.getUnchecked()).isFalse());
  }

  @Test
  void shouldExportUncheckedWhenItStops() {
    worker.refuse(ImprovePolicyRequest.class, ErrorCode.NOT_FINITE, "the loss became NaN");

    failure(spec(), BRIGHTNESS);

    assertThat(worker.all(ExportRequest.class))
        .singleElement()
        .satisfies(request -> assertThat(request.getUnchecked()).isTrue());
  }

  @Test
  void shouldLeaveNoFileWhereTheExportFailedItsCheck() throws IOException {
    worker.refuse(ExportRequest.class, ErrorCode.INCONSISTENT, "export: it draws other pictures");

    RunException e = failure(spec(), BRIGHTNESS);

    assertThat(e.code()).isEqualTo("INCONSISTENT");
    assertThat(e.remedy()).isEqualTo(RunException.Remedy.NONE);
    assertThat(worker.all(ExportRequest.class)).hasSize(1);
    assertThat(folder.resolve("run/export")).doesNotExist();
    assertThat(metrics().getLast().get("reason_code").asText()).isEqualTo("INCONSISTENT");
  }

  @Test
  void shouldNotSaveOrCloseWhatNeverOpened() throws IOException {
    worker.refuse(OpenRequest.class, ErrorCode.MODEL_NOT_LOADABLE, "no such model");

    RunException e = failure(spec(), BRIGHTNESS);

    assertThat(e).hasMessage("while opening the model: no such model");
    assertThat(folder.resolve("run/export")).doesNotExist();
    assertThat(worker.all(CloseRequest.class)).isEmpty();
    assertThat(metrics()).hasSize(2);
  }

  @Test
  void shouldRefusePromptsForAnUnconditionalModel() {
    worker.conditional = false;

    assertThat(failure(spec(), BRIGHTNESS))
        .hasMessage("the model is unconditional: remove prompts");
    assertThat(worker.open).isFalse();
  }

  @Test
  void shouldSaveWhatItHasWhenToldToStop() throws Exception {
    worker.stickInSampling();
    RunSpec spec = spec();
    CompletableFuture<RunException> ended = new CompletableFuture<>();
    Thread thread = Thread.ofPlatform().start(() -> ended.complete(failure(spec, BRIGHTNESS)));
    worker.stuck.await();

    thread.interrupt();

    assertThat(ended.get().cancelled()).isTrue();
    assertThat(ended.get()).hasMessageStartingWith("told to stop while sampling in iteration 1");
    worker.cancelled.await();
    assertThat(metrics().stream().map(line -> line.get("event").asText()))
        .containsExactly("started", "evaluated", "state_changed");
    assertThat(folder.resolve("run/export/pytorch_lora_weights.safetensors"))
        .content()
        .startsWith("improved 0,");
    assertThat(worker.open).isFalse();
  }

  @Test
  void shouldStopWhileARewardHoldsItUp() throws Exception {
    RunSpec spec = spec();
    CompletableFuture<Void> asked = new CompletableFuture<>();
    CompletableFuture<Double> never = new CompletableFuture<>();
    Reward slow =
        Reward.of(
            "slow",
            (image, prompt) -> {
              asked.complete(null);
              return never.join();
            });
    CompletableFuture<RunException> ended = new CompletableFuture<>();
    Thread thread = Thread.ofPlatform().start(() -> ended.complete(failure(spec, slow)));
    asked.get();

    thread.interrupt();

    assertThat(ended.get().cancelled()).isTrue();
    never.complete(0.0);
  }

  @Test
  void shouldWriteAReport() {
    run(spec(), BRIGHTNESS);

    assertThat(folder.resolve("run/report.html")).isNotEmptyFile();
  }

  @Test
  void shouldNotTouchAFolderInUse() throws IOException {
    Files.createDirectories(folder.resolve("run/samples"));

    assertThatThrownBy(() -> run(spec(), BRIGHTNESS))
        .isInstanceOfSatisfying(
            RunException.class, e -> assertThat(e.code()).isEqualTo("FOLDER_EXISTS"))
        .hasMessageContaining("give a run a folder of its own");
    assertThat(worker.requests).isEmpty();
  }
}
