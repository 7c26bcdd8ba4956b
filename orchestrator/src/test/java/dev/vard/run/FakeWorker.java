package dev.vard.run;

import com.google.protobuf.ByteString;
import com.google.protobuf.Message;
import dev.vard.proto.v1.CloseRequest;
import dev.vard.proto.v1.CloseResponse;
import dev.vard.proto.v1.DType;
import dev.vard.proto.v1.DescribeRequest;
import dev.vard.proto.v1.DescribeResponse;
import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.EvaluateRequest;
import dev.vard.proto.v1.EvaluateResponse;
import dev.vard.proto.v1.ExportRequest;
import dev.vard.proto.v1.ExportResponse;
import dev.vard.proto.v1.FitValueRequest;
import dev.vard.proto.v1.FitValueResponse;
import dev.vard.proto.v1.ImageChunk;
import dev.vard.proto.v1.ImprovePolicyRequest;
import dev.vard.proto.v1.ImprovePolicyResponse;
import dev.vard.proto.v1.OpenRequest;
import dev.vard.proto.v1.OpenResponse;
import dev.vard.proto.v1.PlanRequest;
import dev.vard.proto.v1.PlanResponse;
import dev.vard.proto.v1.PolicyStep;
import dev.vard.proto.v1.ReleaseRequest;
import dev.vard.proto.v1.ReleaseResponse;
import dev.vard.proto.v1.RestoreRequest;
import dev.vard.proto.v1.RestoreResponse;
import dev.vard.proto.v1.SampleRequest;
import dev.vard.proto.v1.SampleResponse;
import dev.vard.proto.v1.SampleSummary;
import dev.vard.proto.v1.SaveRequest;
import dev.vard.proto.v1.SaveResponse;
import dev.vard.proto.v1.SessionDescription;
import dev.vard.proto.v1.Target;
import dev.vard.proto.v1.TrajectorySpec;
import dev.vard.proto.v1.ValueQuality;
import dev.vard.proto.v1.WorkerError;
import dev.vard.proto.v1.WorkerServiceGrpc;
import dev.vard.worker.WorkerClient;
import dev.vard.worker.WorkerClients;
import dev.vard.worker.WorkerLocation;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.zip.CRC32;

/**
 * A worker without a model, behind a real gRPC server: keeps the contract's book-keeping, and
 * refuses what a worker would refuse. An image is of one grey, that of its seed, lighter by ten for
 * each time that the policy was improved; but for its last row, which is noise, so that scores
 * differ. Everything that a session went through is in its history, and so in the hash of its
 * export.
 */
public final class FakeWorker extends WorkerServiceGrpc.WorkerServiceImplBase
    implements AutoCloseable {
  static final int SIDE = 4;
  static final double KL_PER_IMPROVEMENT = 7;
  private static final int IMAGES_PER_CHUNK = 3;

  /** Every request, in order. */
  final List<Object> requests = new ArrayList<>();

  /** Counted down when a sampling begins that will not end by itself. */
  final CountDownLatch stuck = new CountDownLatch(1);

  /** Counted down when that sampling was cancelled. */
  final CountDownLatch cancelled = new CountDownLatch(1);

  final Set<String> held = new LinkedHashSet<>();
  boolean open;
  boolean conditional = true;

  /** Of each policy phase's second step. */
  volatile double gradientNorm = 3;

  private final Map<Class<?>, WorkerError> refusals = new ConcurrentHashMap<>();
  private final Map<Class<?>, AtomicInteger> patience = new ConcurrentHashMap<>();
  private final Server server;
  private final String address;
  private boolean neverEnds;
  private String session = "";
  private long operation;
  private int improvements;
  private String history = "";
  private String last = "";

  public FakeWorker() throws IOException {
    server =
        Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
            .addService(this)
            .build()
            .start();
    address = "127.0.0.1:" + server.getPort();
  }

  WorkerClient connect() {
    return WorkerClients.open(WorkerLocation.parse(address));
  }

  /** As a specification names it. */
  public String address() {
    return address;
  }

  /** Answers every request of this type with an error. */
  public void refuse(Class<?> request, ErrorCode code, String message) {
    refusals.put(request, WorkerError.newBuilder().setCode(code).setMessage(message).build());
  }

  /** Answers the first so many requests of this type, and refuses those after. */
  public void refuseFrom(Class<?> request, int answered, ErrorCode code, String message) {
    refuse(request, code, message);
    patience.put(request, new AtomicInteger(answered));
  }

  /** Answers requests of this type again. */
  public void relent(Class<?> request) {
    refusals.remove(request);
  }

  /** Sampling for training ends by itself again. */
  public void stickNoMore() {
    neverEnds = false;
  }

  /** The next sampling for training sends one image, and then nothing. */
  public void stickInSampling() {
    neverEnds = true;
  }

  /** Waits until that sampling has begun. */
  public void awaitStuck() throws InterruptedException {
    stuck.await();
  }

  synchronized <R> List<R> all(Class<R> type) {
    return requests.stream().filter(type::isInstance).map(type::cast).toList();
  }

  @Override
  public void close() {
    server.shutdownNow();
  }

  @Override
  public synchronized void open(OpenRequest request, StreamObserver<OpenResponse> answer) {
    if (refused(request, answer)) {
      return;
    }
    open = true;
    session = request.getSessionId();
    operation = 0;
    improvements = 0;
    history = "";
    last = "";
    held.clear();
    reply(answer, OpenResponse.newBuilder().setSession(description()).build());
  }

  @Override
  public synchronized void plan(PlanRequest request, StreamObserver<PlanResponse> answer) {
    if (refused(request, answer)) {
      return;
    }
    reply(
        answer,
        PlanResponse.newBuilder()
            .setFamily("fake")
            .setDevice("cpu")
            .addAllImageShape(List.of(SIDE, SIDE, 3))
            .putPhases("sample", 1000)
            .setPeakBytes(request.getPolicyBatch() * 1000L)
            .build());
  }

  private SessionDescription description() {
    return SessionDescription.newBuilder()
        .setSessionId(session)
        .setOperation(operation)
        .setConditional(conditional)
        .addSigmas(0.5)
        .build();
  }

  @Override
  public synchronized void describe(
      DescribeRequest request, StreamObserver<DescribeResponse> answer) {
    DescribeResponse.Builder response = DescribeResponse.newBuilder();
    if (open) {
      response.addSessions(description());
    }
    reply(answer, response.build());
  }

  @Override
  public synchronized void save(SaveRequest request, StreamObserver<SaveResponse> answer) {
    if (refused(request, answer) || stranger(request.getSessionId(), answer)) {
      return;
    }
    try {
      Path folder = Path.of(request.getPath());
      Files.createDirectories(folder.getParent());
      Files.createDirectory(folder);
      Files.write(
          folder.resolve("session"),
          List.of(
              Long.toString(operation),
              Integer.toString(improvements),
              history,
              last,
              String.join(",", held)));
      reply(answer, SaveResponse.newBuilder().setBytes(100).build());
    } catch (IOException e) {
      fail(
          answer,
          WorkerError.newBuilder().setCode(ErrorCode.STORAGE).setMessage(e.toString()).build());
    }
  }

  @Override
  public synchronized void restore(RestoreRequest request, StreamObserver<RestoreResponse> answer) {
    if (refused(request, answer)) {
      return;
    }
    List<String> lines;
    try {
      lines = Files.readAllLines(Path.of(request.getPath()).resolve("session"));
    } catch (IOException e) {
      fail(
          answer,
          WorkerError.newBuilder()
              .setCode(ErrorCode.CHECKPOINT_NOT_FOUND)
              .setMessage(e.toString())
              .build());
      return;
    }
    if (lines.size() != 5) {
      fail(
          answer,
          WorkerError.newBuilder()
              .setCode(ErrorCode.CORRUPT_CHECKPOINT)
              .setMessage(request.getPath() + " is damaged")
              .build());
      return;
    }
    open = true;
    session = request.getSessionId();
    operation = Long.parseLong(lines.get(0));
    improvements = Integer.parseInt(lines.get(1));
    history = lines.get(2);
    last = lines.get(3);
    held.clear();
    if (!lines.get(4).isEmpty()) {
      held.addAll(List.of(lines.get(4).split(",")));
    }
    reply(answer, RestoreResponse.newBuilder().setSession(description()).build());
  }

  /** Counts a change; of a repeated one says so. */
  private boolean changes(long number, Message request) {
    if (number == operation) {
      return false;
    }
    operation = number;
    last = digest(request);
    history = hash(history + last);
    return true;
  }

  /** Of all but the session's id, which differs from attempt to attempt. */
  private static String digest(Message request) {
    return hash(
        request.toBuilder()
            .clearField(request.getDescriptorForType().findFieldByName("session_id"))
            .build()
            .toString());
  }

  private static String hash(String text) {
    try {
      return HexFormat.of()
          .formatHex(
              MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public synchronized void sample(SampleRequest request, StreamObserver<SampleResponse> answer) {
    if (refused(request, answer)
        || stranger(request.getSessionId(), answer)
        || request.getRetain() && outOfOrder(request.getOperation(), request, answer)) {
      return;
    }
    if (request.getRetain()) {
      if (neverEnds) {
        ((ServerCallStreamObserver<SampleResponse>) answer)
            .setOnCancelHandler(cancelled::countDown);
        answer.onNext(chunk(request, 0, 1));
        stuck.countDown();
        return;
      }
      if (changes(request.getOperation(), request)) {
        request.getTrajectoriesList().forEach(trajectory -> held.add(trajectory.getId()));
      }
    }
    int count = request.getTrajectoriesCount();
    for (int first = 0; first < count; first += IMAGES_PER_CHUNK) {
      answer.onNext(chunk(request, first, Math.min(IMAGES_PER_CHUNK, count - first)));
    }
    reply(
        answer,
        SampleResponse.newBuilder()
            .setSummary(SampleSummary.newBuilder().setImages(count))
            .build());
  }

  private SampleResponse chunk(SampleRequest request, int first, int images) {
    ByteString.Output pixels = ByteString.newOutput();
    ImageChunk.Builder chunk = ImageChunk.newBuilder();
    for (TrajectorySpec trajectory : request.getTrajectoriesList().subList(first, first + images)) {
      for (int i = 0; i < SIDE * SIDE * 3; i++) {
        boolean lastRow = i >= (SIDE - 1) * SIDE * 3;
        pixels.write(
            lastRow
                ? (int) (trajectory.getSeed() >>> i) & 0xff
                : grey(trajectory.getSeed(), improvements));
      }
      if (request.getMeasureKl()) {
        chunk.addKl(KL_PER_IMPROVEMENT * improvements);
      }
    }
    CRC32 crc = new CRC32();
    crc.update(pixels.toByteString().asReadOnlyByteBuffer());
    chunk
        .setFirst(first)
        .addAllShape(List.of(images, SIDE, SIDE, 3))
        .setDtype(DType.UINT8)
        .setData(pixels.toByteString())
        .setCrc32((int) crc.getValue());
    return SampleResponse.newBuilder().setImages(chunk).build();
  }

  static int grey(long seed, int improvements) {
    return (int) (seed % 50) + 10 * improvements;
  }

  @Override
  public synchronized void evaluate(
      EvaluateRequest request, StreamObserver<EvaluateResponse> answer) {
    if (refused(request, answer)
        || stranger(request.getSessionId(), answer)
        || unknown(
            request.getTargetsList().stream().map(Target::getTrajectoryId).toList(), answer)) {
      return;
    }
    reply(
        answer,
        EvaluateResponse.newBuilder()
            .addByState(
                ValueQuality.newBuilder()
                    .setTimestep(751)
                    .setMse(0.5)
                    .setR2(Double.NaN)
                    .setCorrelation(0.25))
            .addByState(ValueQuality.newBuilder().setTimestep(-1).setMse(0.125).setR2(0.75))
            .build());
  }

  @Override
  public synchronized void fitValue(
      FitValueRequest request, StreamObserver<FitValueResponse> answer) {
    if (refused(request, answer)
        || stranger(request.getSessionId(), answer)
        || unknown(request.getTargetsList().stream().map(Target::getTrajectoryId).toList(), answer)
        || outOfOrder(request.getOperation(), request, answer)) {
      return;
    }
    changes(request.getOperation(), request);
    reply(answer, FitValueResponse.newBuilder().addAllLosses(List.of(8.0, 4.0, 2.0)).build());
  }

  @Override
  public synchronized void improvePolicy(
      ImprovePolicyRequest request, StreamObserver<ImprovePolicyResponse> answer) {
    if (refused(request, answer)
        || stranger(request.getSessionId(), answer)
        || unknown(request.getTrajectoryIdsList(), answer)
        || outOfOrder(request.getOperation(), request, answer)) {
      return;
    }
    if (changes(request.getOperation(), request)) {
      improvements++;
    }
    ImprovePolicyResponse.Builder response = ImprovePolicyResponse.newBuilder();
    if (request.hasKlBudget()) {
      response
          .setKlWeight(1.1 * request.getKlWeight())
          .addProbedKl(12)
          .addProbedKl(9.5)
          .setScale(0.9);
    }
    reply(
        answer,
        response
            .addSteps(PolicyStep.newBuilder().setLoss(100).setKlPerTrajectory(1))
            .addSteps(
                PolicyStep.newBuilder()
                    .setLoss(-0.5)
                    .putMetrics("objective", -0.75)
                    .setKlPerTrajectory(20)
                    .setGradientNorm(gradientNorm)
                    .putMetrics("clipped", 0.1))
            .build());
  }

  @Override
  public synchronized void release(ReleaseRequest request, StreamObserver<ReleaseResponse> answer) {
    if (refused(request, answer)
        || stranger(request.getSessionId(), answer)
        || outOfOrder(request.getOperation(), request, answer)) {
      return;
    }
    if (request.getOperation() != operation && unknown(request.getTrajectoryIdsList(), answer)) {
      return;
    }
    if (changes(request.getOperation(), request)) {
      request.getTrajectoryIdsList().forEach(held::remove);
    }
    reply(answer, ReleaseResponse.newBuilder().setHeld(held.size()).build());
  }

  @Override
  public synchronized void export(ExportRequest request, StreamObserver<ExportResponse> answer) {
    if (refused(request, answer)) {
      return;
    }
    try {
      Path folder = Files.createDirectories(Path.of(request.getPath()));
      Path file = folder.resolve("pytorch_lora_weights.safetensors");
      String weights = "improved " + improvements + ", after " + hash(history);
      Files.writeString(file, weights);
      reply(
          answer,
          ExportResponse.newBuilder().setFile(file.toString()).setSha256(hash(weights)).build());
    } catch (IOException e) {
      answer.onError(Status.INTERNAL.withCause(e).asRuntimeException());
    }
  }

  @Override
  public synchronized void close(CloseRequest request, StreamObserver<CloseResponse> answer) {
    if (refused(request, answer)) {
      return;
    }
    open = false;
    reply(answer, CloseResponse.getDefaultInstance());
  }

  private boolean refused(Object request, StreamObserver<?> answer) {
    requests.add(request);
    WorkerError error = refusals.get(request.getClass());
    AtomicInteger answers = patience.get(request.getClass());
    if (answers != null && answers.getAndDecrement() > 0) {
      return false;
    }
    if (error != null) {
      fail(answer, error);
    }
    return error != null;
  }

  private boolean stranger(String id, StreamObserver<?> answer) {
    boolean wrong = !open || !id.equals(session);
    if (wrong) {
      fail(
          answer,
          WorkerError.newBuilder()
              .setCode(ErrorCode.UNKNOWN_SESSION)
              .setMessage("no session " + id)
              .build());
    }
    return wrong;
  }

  private boolean outOfOrder(long number, Message request, StreamObserver<?> answer) {
    boolean repeated = number == operation && digest(request).equals(last);
    boolean wrong = number != operation + 1 && !repeated;
    if (wrong) {
      fail(
          answer,
          WorkerError.newBuilder()
              .setCode(ErrorCode.OUT_OF_ORDER)
              .setMessage(number + " does not follow " + operation)
              .build());
    }
    return wrong;
  }

  private boolean unknown(List<String> ids, StreamObserver<?> answer) {
    boolean wrong = !held.containsAll(ids);
    if (wrong) {
      fail(
          answer,
          WorkerError.newBuilder()
              .setCode(ErrorCode.UNKNOWN_TRAJECTORY)
              .setMessage("not all of " + ids + " are in " + held)
              .build());
    }
    return wrong;
  }

  private static <T> void reply(StreamObserver<T> answer, T response) {
    answer.onNext(response);
    answer.onCompleted();
  }

  private static void fail(StreamObserver<?> answer, WorkerError error) {
    Metadata trailers = new Metadata();
    trailers.put(
        Metadata.Key.of("vard-error-bin", Metadata.BINARY_BYTE_MARSHALLER), error.toByteArray());
    answer.onError(
        Status.INVALID_ARGUMENT.withDescription(error.getMessage()).asRuntimeException(trailers));
  }
}
