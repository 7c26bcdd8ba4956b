package dev.vard.worker;

import static dev.vard.worker.TestSession.PATIENCE;
import static dev.vard.worker.TestSession.STEPS;
import static dev.vard.worker.TestSession.digest;
import static dev.vard.worker.TestSession.openRequest;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.vard.proto.v1.DescribeRequest;
import dev.vard.proto.v1.DescribeResponse;
import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.FitValueResponse;
import dev.vard.proto.v1.ImageChunk;
import dev.vard.proto.v1.ImprovePolicyResponse;
import dev.vard.proto.v1.Objective;
import dev.vard.proto.v1.OpenRequest;
import dev.vard.proto.v1.OpenResponse;
import dev.vard.proto.v1.PlanRequest;
import dev.vard.proto.v1.PlanResponse;
import dev.vard.proto.v1.RestoreRequest;
import dev.vard.proto.v1.SampleRequest;
import dev.vard.proto.v1.SampleSummary;
import dev.vard.proto.v1.SessionDescription;
import dev.vard.proto.v1.TrajectorySpec;
import dev.vard.proto.v1.ValueQuality;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** What every road to a worker owes its caller, on a real model. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class WorkerContract {
  private static final int ENDLESS = 1_000_000;

  private WorkerClient client;

  abstract WorkerClient open();

  @BeforeAll
  void start() {
    client = open();
  }

  @AfterAll
  void end() {
    client.close();
  }

  // ------------------------------------------------------------------------------------------------ right requests

  @Test
  void shouldDescribeTheWorker() {
    DescribeResponse worker = client.describe(DescribeRequest.getDefaultInstance(), PATIENCE);

    assertThat(worker.getPythonVersion()).startsWith("3.");
    assertThat(worker.getTorchVersion()).isNotEmpty();
    assertThat(worker.getDevicesList()).contains("cpu");
    assertThat(worker.getThreads()).isEqualTo(1);
    assertThat(worker.getPeakMemoryBytes()).isPositive();
  }

  @Test
  void shouldPlanASessionWithoutOpeningIt() {
    OpenRequest open = openRequest(TinyModel.folder());

    PlanResponse plan =
        client.plan(
            PlanRequest.newBuilder()
                .setOpen(open)
                .setSampleBatch(2)
                .setValueBatch(8)
                .setPolicyBatch(8)
                .setTrajectories(16)
                .build(),
            PATIENCE);

    assertThat(client.describe(DescribeRequest.getDefaultInstance(), PATIENCE).getSessionsList())
        .noneMatch(session -> session.getSessionId().equals(open.getSessionId()));
    OpenResponse answer = client.open(open, PATIENCE);
    try (var session = TestSession.of(client, open.getSessionId())) {
      SessionDescription opened = answer.getSession();
      assertThat(plan.getPipeline()).isEqualTo(opened.getPipeline());
      assertThat(plan.getAdapterParameters()).isEqualTo(opened.getAdapterParameters());
      assertThat(plan.getValueParameters()).isEqualTo(opened.getValueParameters());
      assertThat(plan.getImageShapeList()).isEqualTo(opened.getImageShapeList());
      assertThat(plan.getPhasesMap())
          .containsOnlyKeys("encode", "sample", "decode", "value", "policy");
      assertThat(plan.getPeakBytes()).isGreaterThan(plan.getWeightBytes());
      assertThat(session.describe().getOperation()).isZero();
    }
  }

  @Test
  void shouldRefuseToPlanWhatCouldNotBeOpened() {
    assertInvalid("sample_batch", () -> client.plan(PlanRequest.getDefaultInstance(), PATIENCE));
  }

  @Test
  void shouldOpenASessionWithTheModelsShapes() {
    OpenRequest request = openRequest(TinyModel.folder());

    OpenResponse answer = client.open(request, PATIENCE);

    try (var session = TestSession.of(client, request.getSessionId())) {
      SessionDescription description = answer.getSession();
      assertThat(description).isEqualTo(session.describe());
      assertThat(description.getPipeline()).isEqualTo("StableDiffusionPipeline");
      assertThat(description.getLatentShapeList()).containsExactly(4, 8, 8);
      assertThat(description.getImageShapeList()).containsExactly(32, 32, 3);
      assertThat(description.getTimestepsList())
          .hasSize(STEPS)
          .isSortedAccordingTo((a, b) -> b - a);
      assertThat(description.getSigmasList()).hasSize(STEPS);
      assertThat(description.getOperation()).isZero();
      assertThat(description.getAdapterParameters()).isPositive();
      assertThat(description.getValueParameters()).isPositive();
    }
  }

  @Test
  void shouldStreamEveryImageOnceAndInOrder() {
    try (var session = TestSession.open(client)) {
      var chunks = new ArrayList<ImageChunk>();

      SampleSummary summary =
          client.sample(session.looking(5).setMeasureKl(true).build(), chunks::add, PATIENCE);

      assertThat(summary.getImages()).isEqualTo(5);
      assertThat(chunks).hasSizeGreaterThan(1);
      assertThat(chunks.stream().mapToInt(chunk -> chunk.getShape(0)).sum()).isEqualTo(5);
      assertThat(chunks)
          .allSatisfy(
              chunk -> {
                assertThat(chunk.getShapeList().subList(1, 4)).containsExactly(32, 32, 3);
                // The adapter starts at zero: nothing has moved yet.
                assertThat(chunk.getKlList()).containsOnly(0.0);
              });
    }
  }

  @Test
  void shouldTrainStepByStep(@TempDir Path folder) throws IOException {
    try (var session = TestSession.open(client)) {
      session.sample(session.sampling(1, 4));
      List<ValueQuality> quality = session.evaluate(session.evaluating(4)).getByStateList();
      FitValueResponse fitted = session.fit(session.fitting(2, 4));
      ImprovePolicyResponse improved = session.improve(session.improving(3, 4));
      int held = client.release(session.releasing(4, 3).build(), PATIENCE).getHeld();
      Path exported = Path.of(session.export(folder.resolve("export")).getFile());

      assertThat(quality).hasSize(STEPS + 1);
      assertThat(quality.getLast().getTimestep()).isEqualTo(-1);
      assertThat(fitted.getLossesList()).hasSize(3).allMatch(Double::isFinite);
      assertThat(improved.getStepsList()).hasSize(2).allMatch(step -> step.getGradientNorm() > 0);
      assertThat(held).isEqualTo(1);
      assertThat(session.describe().getTrajectoryIdsList()).containsExactly("t3");
      assertThat(session.describe().getOperation()).isEqualTo(4);
      assertThat(exported).hasFileName("pytorch_lora_weights.safetensors").exists();
    }
  }

  @Test
  void shouldImproveByClippedRatios() {
    try (var session = TestSession.open(client)) {
      session.sample(session.sampling(1, 2));

      ImprovePolicyResponse improved =
          session.improve(session.improving(2, 2).setNamed(ratios(1, -1)));

      assertThat(improved.getStepsList())
          .hasSize(2)
          .allMatch(step -> step.getGradientNorm() > 0)
          .allSatisfy(
              step -> assertThat(step.getMetricsMap()).containsOnlyKeys("objective", "clipped"));
    }
  }

  @Test
  void shouldDrawTheSameImagesFromTheSameSeeds() {
    try (var session = TestSession.open(client)) {
      String first = digest(session.sample(session.looking(3)));

      assertThat(digest(session.sample(session.looking(3)))).isEqualTo(first);
      SampleRequest.Builder others = session.looking(3);
      others
          .getTrajectoriesBuilderList()
          .forEach(trajectory -> trajectory.setSeed(trajectory.getSeed() + 1000));
      assertThat(digest(session.sample(others))).isNotEqualTo(first);
    }
  }

  @Test
  void shouldGoOnFromACheckpointAsIfNothingHadHappened(@TempDir Path folder) {
    try (var session = TestSession.open(client)) {
      session.sample(session.sampling(1, 4));
      session.fit(session.fitting(2, 4));
      session.improve(session.improving(3, 4));
      session.save(folder.resolve("checkpoint"));
      session.fit(session.fitting(4, 4).setSeed(21));
      session.improve(session.improving(5, 4).setSeed(22));
      String uninterrupted = session.export(folder.resolve("uninterrupted")).getSha256();

      try (var restored = restore(folder.resolve("checkpoint"))) {
        assertThat(restored.describe().getOperation()).isEqualTo(3);
        restored.fit(restored.fitting(4, 4).setSeed(21));
        restored.improve(restored.improving(5, 4).setSeed(22));
        assertThat(restored.export(folder.resolve("restored")).getSha256())
            .isEqualTo(uninterrupted);
      }
    }
  }

  // ------------------------------------------------------------------------------------------------ operations

  @Test
  void shouldAnswerARepeatedChangeWithoutMakingItTwice(@TempDir Path folder) {
    try (var session = TestSession.open(client)) {
      String images = digest(session.sample(session.sampling(1, 4)));
      assertThat(digest(session.sample(session.sampling(1, 4)))).isEqualTo(images);
      FitValueResponse fitted = session.fit(session.fitting(2, 4));
      assertThat(session.fit(session.fitting(2, 4))).isEqualTo(fitted);
      ImprovePolicyResponse improved = session.improve(session.improving(3, 4));
      String once = session.export(folder.resolve("once")).getSha256();

      assertThat(session.improve(session.improving(3, 4))).isEqualTo(improved);

      assertThat(session.export(folder.resolve("again")).getSha256()).isEqualTo(once);
      assertThat(session.describe().getOperation()).isEqualTo(3);
    }
  }

  @Test
  void shouldRefuseOperationsOutOfOrder() {
    try (var session = TestSession.open(client)) {
      session.sample(session.sampling(1, 2));

      assertRefused(ErrorCode.OUT_OF_ORDER, "operation", () -> session.fit(session.fitting(3, 2)));
      assertRefused(ErrorCode.OUT_OF_ORDER, "operation", () -> session.fit(session.fitting(0, 2)));
      // The last number, but another request.
      assertRefused(ErrorCode.OUT_OF_ORDER, "operation", () -> session.fit(session.fitting(1, 2)));

      assertUsable(session, 1);
    }
  }

  // ------------------------------------------------------------------------------------------------ wrong requests

  @Test
  void shouldRefuseAnUnknownSession() {
    var nobody = TestSession.of(client, "nobody");

    assertRefused(ErrorCode.UNKNOWN_SESSION, "session_id", () -> nobody.sample(nobody.looking(1)));
    assertRefused(ErrorCode.UNKNOWN_SESSION, "session_id", () -> nobody.fit(nobody.fitting(1, 1)));
    assertRefused(ErrorCode.UNKNOWN_SESSION, "session_id", nobody::close);
  }

  @Test
  void shouldRefuseASessionThatExists() {
    try (var session = TestSession.open(client)) {
      OpenRequest again =
          openRequest(TinyModel.folder()).toBuilder().setSessionId(session.id).build();

      assertRefused(ErrorCode.SESSION_EXISTS, "session_id", () -> client.open(again, PATIENCE));

      assertUsable(session, 0);
    }
  }

  @Test
  void shouldRefuseUnknownAndTakenTrajectories() {
    try (var session = TestSession.open(client)) {
      session.sample(session.sampling(1, 2));

      assertRefused(ErrorCode.UNKNOWN_TRAJECTORY, () -> session.fit(session.fitting(2, 3)));
      assertRefused(ErrorCode.UNKNOWN_TRAJECTORY, () -> session.evaluate(session.evaluating(3)));
      assertRefused(ErrorCode.UNKNOWN_TRAJECTORY, () -> session.improve(session.improving(2, 3)));
      assertRefused(
          ErrorCode.UNKNOWN_TRAJECTORY,
          () -> client.release(session.releasing(2, 3).build(), PATIENCE));
      assertRefused(
          ErrorCode.TRAJECTORY_EXISTS,
          "trajectories.id",
          () -> session.sample(session.sampling(2, 1)));

      assertUsable(session, 1);
    }
  }

  @Test
  void shouldRefuseRequestsThatDoNotHoldTogether() {
    try (var session = TestSession.open(client)) {
      session.sample(session.sampling(1, 2));

      assertInvalid("trajectories", () -> session.sample(session.looking(0)));
      assertInvalid("batch", () -> session.sample(session.looking(1).setBatch(0)));
      assertInvalid(
          "trajectories.id",
          () ->
              session.sample(
                  session.looking(1).addTrajectories(TrajectorySpec.newBuilder().setId("t0"))));
      assertInvalid("targets.trajectory_id", () -> session.fit(session.fitting(2, 0)));
      assertInvalid("trajectory_ids", () -> session.improve(session.improving(2, 0)));
      assertInvalid("named", () -> session.improve(session.improving(2, 2).clearNamed()));
      assertInvalid(
          "named.series[advantage]",
          () -> session.improve(session.improving(2, 2).setNamed(ratios(1))));
      assertInvalid("steps", () -> session.fit(session.fitting(2, 2).setSteps(0)));
      assertInvalid("learning_rate", () -> session.fit(session.fitting(2, 2).setLearningRate(-1)));

      assertUsable(session, 1);
    }
  }

  @Test
  void shouldRefuseNumbersThatAreNotFinite() {
    try (var session = TestSession.open(client)) {
      session.sample(session.sampling(1, 2));
      var nan = session.fitting(2, 2);
      nan.getTargetsBuilder(1).setValue(Double.NaN);
      var infinite = session.evaluating(2);
      infinite.getTargetsBuilder(0).setValue(Double.POSITIVE_INFINITY);

      assertInvalid("targets[1].value", () -> session.fit(nan));
      assertInvalid("targets[0].value", () -> session.evaluate(infinite));
      assertInvalid(
          "kl_weight", () -> session.improve(session.improving(2, 2).setKlWeight(Double.NaN)));

      assertUsable(session, 1);
    }
  }

  // ------------------------------------------------------------------------------------------------ wrong files

  @Test
  void shouldRefuseAModelThatIsNotThere(@TempDir Path folder) {
    assertRefused(
        ErrorCode.MODEL_NOT_LOADABLE,
        () -> client.open(openRequest(folder.resolve("nothing")), PATIENCE));
  }

  @Test
  void shouldRefuseAModelWithAWeightThatIsNotANumber(@TempDir Path folder) throws IOException {
    Path model = TinyModel.withNan(folder.resolve("model"));

    assertRefused(
        ErrorCode.MODEL_NOT_LOADABLE,
        "model.checkpoint",
        () -> client.open(openRequest(model), PATIENCE));
  }

  @Test
  void shouldRefuseAModelWhoseWeightsArePickles(@TempDir Path folder) throws IOException {
    Path model = copy(TinyModel.folder(), folder.resolve("model"));
    Path unet = model.resolve("unet");
    Files.move(
        unet.resolve("diffusion_pytorch_model.safetensors"),
        unet.resolve("diffusion_pytorch_model.bin"));

    assertRefused(ErrorCode.UNSAFE_CHECKPOINT, () -> client.open(openRequest(model), PATIENCE));
  }

  @Test
  void shouldRefuseACheckpointThatIsNotThere(@TempDir Path folder) {
    assertRefused(ErrorCode.CHECKPOINT_NOT_FOUND, "path", () -> restore(folder.resolve("nothing")));
  }

  @Test
  void shouldRefuseADamagedCheckpoint(@TempDir Path folder) throws IOException {
    try (var session = TestSession.open(client)) {
      session.save(folder.resolve("whole"));
      Path flipped = copy(folder.resolve("whole"), folder.resolve("flipped"));
      byte[] bytes = Files.readAllBytes(flipped.resolve("adapter.safetensors"));
      bytes[bytes.length - 1] ^= 1;
      Files.write(flipped.resolve("adapter.safetensors"), bytes);
      Path cut = copy(folder.resolve("whole"), folder.resolve("cut"));
      Files.write(
          cut.resolve("optimizers.safetensors"), new byte[1], StandardOpenOption.TRUNCATE_EXISTING);
      Path incomplete = copy(folder.resolve("whole"), folder.resolve("incomplete"));
      Files.delete(incomplete.resolve("session.json"));

      assertRefused(ErrorCode.CORRUPT_CHECKPOINT, () -> restore(flipped));
      assertRefused(ErrorCode.CORRUPT_CHECKPOINT, () -> restore(cut));
      assertRefused(ErrorCode.CORRUPT_CHECKPOINT, () -> restore(incomplete));

      assertUsable(session, 0);
    }
  }

  @Test
  void shouldRefuseACheckpointThatHoldsAPickle(@TempDir Path folder) throws IOException {
    try (var session = TestSession.open(client)) {
      session.save(folder.resolve("checkpoint"));
      Files.write(folder.resolve("checkpoint/adapter.pt"), new byte[] {(byte) 0x80, 4, '.'});

      assertRefused(ErrorCode.UNSAFE_CHECKPOINT, () -> restore(folder.resolve("checkpoint")));

      assertUsable(session, 0);
    }
  }

  @Test
  void shouldRefuseToWriteACheckpointTwice(@TempDir Path folder) {
    try (var session = TestSession.open(client)) {
      session.save(folder.resolve("checkpoint"));

      assertRefused(ErrorCode.STORAGE, "path", () -> session.save(folder.resolve("checkpoint")));

      assertUsable(session, 0);
    }
  }

  // ------------------------------------------------------------------------------------------------ giving up

  @Test
  void shouldCancelSamplingWhenInterrupted() {
    try (var session = TestSession.open(client)) {
      SampleRequest request = session.sampling(1, 64).setBatch(1).build();

      WorkerException failure =
          failureOf(
              () -> client.sample(request, chunk -> Thread.currentThread().interrupt(), PATIENCE));

      assertThat(Thread.interrupted()).as("interrupt status stays set").isTrue();
      assertThat(failure.kind()).isEqualTo(WorkerException.Kind.CANCELLED);
      assertThat(session.describe().getTrajectoryIdsList()).isEmpty();
      assertUsable(session, 0);
    }
  }

  @Test
  void shouldCancelTrainingWhenInterrupted(@TempDir Path folder) {
    try (var session = TestSession.open(client)) {
      session.sample(session.sampling(1, 2));
      session.fit(session.fitting(2, 2));
      String before = session.export(folder.resolve("before")).getSha256();
      Thread.currentThread().interrupt();

      WorkerException failure =
          failureOf(() -> session.improve(session.improving(3, 2).setSteps(ENDLESS)));

      assertThat(Thread.interrupted()).as("interrupt status stays set").isTrue();
      assertThat(failure.kind()).isEqualTo(WorkerException.Kind.CANCELLED);
      assertThat(session.export(folder.resolve("after")).getSha256()).isEqualTo(before);
      assertUsable(session, 2);
    }
  }

  @Test
  void shouldUndoWhatTheDeadlineCutShort(@TempDir Path folder) {
    try (var session = TestSession.open(client)) {
      session.sample(session.sampling(1, 2));
      session.fit(session.fitting(2, 2));
      String before = session.export(folder.resolve("before")).getSha256();

      WorkerException failure =
          failureOf(
              () ->
                  client.improvePolicy(
                      session.improving(3, 2).setSteps(ENDLESS).build(), Duration.ofSeconds(1)));

      assertThat(failure.kind()).isEqualTo(WorkerException.Kind.DEADLINE);
      assertThat(session.export(folder.resolve("after")).getSha256()).isEqualTo(before);
      // The number was not used up, and the same step from the same state is the same step.
      session.improve(session.improving(3, 2));
      assertUsable(session, 3);
    }
  }

  @Test
  void shouldCancelWhenTheReaderOfImagesFails() {
    try (var session = TestSession.open(client)) {
      var failure = new IllegalStateException("the reward's own failure");
      SampleRequest request = session.sampling(1, 64).setBatch(1).build();

      assertThatThrownBy(
              () ->
                  client.sample(
                      request,
                      chunk -> {
                        throw failure;
                      },
                      PATIENCE))
          .isSameAs(failure);

      assertThat(session.describe().getTrajectoryIdsList()).isEmpty();
      assertUsable(session, 0);
    }
  }

  // ------------------------------------------------------------------------------------------------ threads

  @Test
  void shouldServeManyThreadsAtOnce() throws Exception {
    try (var one = TestSession.open(client);
        var other = TestSession.open(client);
        // Virtual ones: a caller may be on any thread.
        var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      String alone = digest(one.sample(one.looking(6)));
      Callable<String> onOne = () -> digest(one.sample(one.looking(6)));
      Callable<String> onOther = () -> digest(other.sample(other.looking(6)));

      for (Future<String> images : threads.invokeAll(List.of(onOne, onOther, onOne, onOther))) {
        assertThat(images.get()).isEqualTo(alone);
      }
    }
  }

  // ------------------------------------------------------------------------------------------------

  private TestSession restore(Path checkpoint) {
    OpenRequest names = openRequest(TinyModel.folder());
    client.restore(
        RestoreRequest.newBuilder()
            .setSessionId(names.getSessionId())
            .setPath(checkpoint.toString())
            .build(),
        PATIENCE);
    return TestSession.of(client, names.getSessionId());
  }

  private static void assertUsable(TestSession session, long operation) {
    assertThat(session.describe().getOperation()).isEqualTo(operation);
    assertThat(session.sample(session.looking(1))).hasSize(1);
  }

  private static void assertInvalid(String field, ThrowingCallable request) {
    assertRefused(ErrorCode.INVALID_ARGUMENT, field, request);
  }

  private static void assertRefused(ErrorCode code, String field, ThrowingCallable request) {
    assertThat(assertRefused(code, request).field()).isEqualTo(field);
  }

  private static WorkerException assertRefused(ErrorCode code, ThrowingCallable request) {
    WorkerException failure = failureOf(request);
    assertThat(failure.code()).as(failure.getMessage()).isEqualTo(code);
    assertThat(failure.kind()).isEqualTo(WorkerException.Kind.REFUSED);
    assertThat(failure).hasMessageMatching("(?s).{10,}");
    return failure;
  }

  private static WorkerException failureOf(ThrowingCallable request) {
    WorkerException failure = catchThrowableOfType(WorkerException.class, request);
    assertThat(failure).as("the request's failure").isNotNull();
    return failure;
  }

  private static Path copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(from.relativize(file).toString()));
      }
    }
    return to;
  }

  private static Objective ratios(double... advantages) {
    Objective.Series.Builder series = Objective.Series.newBuilder();
    Arrays.stream(advantages).forEach(series::addValues);
    return Objective.newBuilder()
        .setKind("clipped-ratio")
        .putNumbers("clip", 0.1)
        .putSeries("advantage", series.build())
        .build();
  }
}
