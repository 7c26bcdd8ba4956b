package dev.vard.worker;

import dev.vard.proto.v1.AdapterConfig;
import dev.vard.proto.v1.CloseRequest;
import dev.vard.proto.v1.DType;
import dev.vard.proto.v1.DescribeRequest;
import dev.vard.proto.v1.EvaluateRequest;
import dev.vard.proto.v1.EvaluateResponse;
import dev.vard.proto.v1.ExportRequest;
import dev.vard.proto.v1.ExportResponse;
import dev.vard.proto.v1.FitValueRequest;
import dev.vard.proto.v1.FitValueResponse;
import dev.vard.proto.v1.ImageChunk;
import dev.vard.proto.v1.ImprovePolicyRequest;
import dev.vard.proto.v1.ImprovePolicyResponse;
import dev.vard.proto.v1.KlBudget;
import dev.vard.proto.v1.ModelConfig;
import dev.vard.proto.v1.Objective;
import dev.vard.proto.v1.OpenRequest;
import dev.vard.proto.v1.ReleaseRequest;
import dev.vard.proto.v1.SampleRequest;
import dev.vard.proto.v1.SamplerConfig;
import dev.vard.proto.v1.SaveRequest;
import dev.vard.proto.v1.SessionDescription;
import dev.vard.proto.v1.Target;
import dev.vard.proto.v1.TrajectorySpec;
import dev.vard.proto.v1.ValueConfig;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;
import java.util.stream.IntStream;

/**
 * A session on the tiny model, and requests that are right for it, for tests to use or to spoil.
 */
final class TestSession implements AutoCloseable {
  /** So long that only a hang reaches it. */
  static final Duration PATIENCE = Duration.ofMinutes(3);

  static final int STEPS = 4;

  final WorkerClient client;
  final String id;

  private TestSession(WorkerClient client, String id) {
    this.client = client;
    this.id = id;
  }

  static TestSession open(WorkerClient client) {
    OpenRequest request = openRequest(TinyModel.folder());
    client.open(request, PATIENCE);
    return new TestSession(client, request.getSessionId());
  }

  /** A session that has been opened or restored already. */
  static TestSession of(WorkerClient client, String id) {
    return new TestSession(client, id);
  }

  static OpenRequest openRequest(Path checkpoint) {
    return OpenRequest.newBuilder()
        .setSessionId("test-" + UUID.randomUUID())
        .setModel(
            ModelConfig.newBuilder()
                .setCheckpoint(checkpoint.toString())
                .setDtype(DType.FLOAT32)
                .setDevice("cpu")
                .setAdapter(
                    AdapterConfig.newBuilder()
                        .setRank(2)
                        .setAlpha(4)
                        .addAllTargets(List.of("to_q", "to_k", "to_v", "to_out.0"))))
        .setSampler(
            SamplerConfig.newBuilder()
                .setKind(SamplerConfig.Kind.DDIM)
                .setSteps(STEPS)
                .setGuidance(2)
                .setEta(1))
        .setValue(
            ValueConfig.newBuilder()
                .setKind(ValueConfig.Kind.CONV)
                .setInput(ValueConfig.Input.LOOKAHEAD)
                .setWidth(8))
        .setSeed(7)
        .build();
  }

  SessionDescription describe() {
    return client
        .describe(DescribeRequest.getDefaultInstance(), PATIENCE)
        .getSessionsList()
        .stream()
        .filter(session -> session.getSessionId().equals(id))
        .findFirst()
        .orElseThrow();
  }

  /** Trajectories t0, t1, …, with seeds 100, 101, …, that are kept. */
  SampleRequest.Builder sampling(long operation, int trajectories) {
    return SampleRequest.newBuilder()
        .setSessionId(id)
        .setOperation(operation)
        .setRetain(true)
        .setBatch(2)
        .addAllTrajectories(
            IntStream.range(0, trajectories)
                .mapToObj(
                    i ->
                        TrajectorySpec.newBuilder()
                            .setId("t" + i)
                            .setPrompt(i % 2 == 0 ? "a cat" : "a red house")
                            .setSeed(100 + i)
                            .build())
                .toList());
  }

  /** Images that are not kept: changes nothing. */
  SampleRequest.Builder looking(int images) {
    return sampling(0, images).setRetain(false);
  }

  List<ImageChunk> sample(SampleRequest.Builder request) {
    var chunks = new ArrayList<ImageChunk>();
    client.sample(request.build(), chunks::add, PATIENCE);
    return chunks;
  }

  EvaluateRequest.Builder evaluating(int trajectories) {
    return EvaluateRequest.newBuilder()
        .setSessionId(id)
        .addAllTargets(targets(trajectories))
        .setBatch(8);
  }

  EvaluateResponse evaluate(EvaluateRequest.Builder request) {
    return client.evaluate(request.build(), PATIENCE);
  }

  FitValueRequest.Builder fitting(long operation, int trajectories) {
    return FitValueRequest.newBuilder()
        .setSessionId(id)
        .setOperation(operation)
        .addAllTargets(targets(trajectories))
        .setSteps(3)
        .setBatch(4)
        .setLearningRate(1e-3)
        .setMaxGradientNorm(1)
        .setSeed(11);
  }

  FitValueResponse fit(FitValueRequest.Builder request) {
    return client.fitValue(request.build(), PATIENCE);
  }

  ImprovePolicyRequest.Builder improving(long operation, int trajectories) {
    return ImprovePolicyRequest.newBuilder()
        .setSessionId(id)
        .setOperation(operation)
        .addAllTrajectoryIds(ids(trajectories))
        .setSteps(2)
        .setBatch(4)
        .setLearningRate(1e-3)
        .setMaxGradientNorm(1)
        .setSeed(12)
        .setKlWeight(0.01)
        .setNamed(Objective.newBuilder().setKind("vard"));
  }

  /** DDPO's objective with these advantages. */
  static Objective ratios(double... advantages) {
    Objective.Series.Builder series = Objective.Series.newBuilder();
    Arrays.stream(advantages).forEach(series::addValues);
    return Objective.newBuilder()
        .setKind("clipped-ratio")
        .putNumbers("clip", 0.1)
        .putSeries("advantage", series.build())
        .build();
  }

  /** A budget that fresh trajectories measure. */
  KlBudget held(double aim, int probes) {
    return KlBudget.newBuilder()
        .setAim(aim)
        .addAllProbes(looking(probes).getTrajectoriesList())
        .setBatch(2)
        .build();
  }

  ImprovePolicyResponse improve(ImprovePolicyRequest.Builder request) {
    return client.improvePolicy(request.build(), PATIENCE);
  }

  ReleaseRequest.Builder releasing(long operation, int trajectories) {
    return ReleaseRequest.newBuilder()
        .setSessionId(id)
        .setOperation(operation)
        .addAllTrajectoryIds(ids(trajectories));
  }

  ExportResponse export(Path folder) {
    return client.export(
        ExportRequest.newBuilder().setSessionId(id).setPath(folder.toString()).build(), PATIENCE);
  }

  void save(Path folder) {
    client.save(
        SaveRequest.newBuilder().setSessionId(id).setPath(folder.toString()).build(), PATIENCE);
  }

  /** SHA-256 of the pixels. */
  static String digest(List<ImageChunk> chunks) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      chunks.forEach(chunk -> digest.update(chunk.getData().asReadOnlyByteBuffer()));
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static List<Target> targets(int trajectories) {
    return IntStream.range(0, trajectories)
        .mapToObj(i -> Target.newBuilder().setTrajectoryId("t" + i).setValue(i - 1.5).build())
        .toList();
  }

  private static List<String> ids(int trajectories) {
    return IntStream.range(0, trajectories).mapToObj(i -> "t" + i).toList();
  }

  @Override
  public void close() {
    client.close(CloseRequest.newBuilder().setSessionId(id).build(), PATIENCE);
  }
}
