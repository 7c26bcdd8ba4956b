package dev.vard.worker;

import static dev.vard.worker.TestSession.PATIENCE;
import static dev.vard.worker.TestSession.STEPS;
import static dev.vard.worker.TestSession.digest;
import static dev.vard.worker.TestSession.openRequest;
import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.proto.v1.DescribeRequest;
import dev.vard.proto.v1.DescribeResponse;
import dev.vard.proto.v1.FitValueResponse;
import dev.vard.proto.v1.ImageChunk;
import dev.vard.proto.v1.ImprovePolicyResponse;
import dev.vard.proto.v1.OpenRequest;
import dev.vard.proto.v1.OpenResponse;
import dev.vard.proto.v1.PlanRequest;
import dev.vard.proto.v1.PlanResponse;
import dev.vard.proto.v1.SampleRequest;
import dev.vard.proto.v1.SampleSummary;
import dev.vard.proto.v1.SessionDescription;
import dev.vard.proto.v1.ValueQuality;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What right requests get: a session from its opening to its export. */
abstract class SessionsContract extends WorkerBehaviour {
  SessionsContract(WorkerClient client) {
    super(client);
  }

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
          session.improve(session.improving(2, 2).setNamed(TestSession.ratios(1, -1)));

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
}
