package dev.vard.run;

import dev.vard.proto.v1.CloseRequest;
import dev.vard.proto.v1.CloseResponse;
import dev.vard.proto.v1.DescribeRequest;
import dev.vard.proto.v1.DescribeResponse;
import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.EvaluateRequest;
import dev.vard.proto.v1.EvaluateResponse;
import dev.vard.proto.v1.ExportRequest;
import dev.vard.proto.v1.ExportResponse;
import dev.vard.proto.v1.FitValueRequest;
import dev.vard.proto.v1.FitValueResponse;
import dev.vard.proto.v1.ImprovePolicyRequest;
import dev.vard.proto.v1.ImprovePolicyResponse;
import dev.vard.proto.v1.OpenRequest;
import dev.vard.proto.v1.OpenResponse;
import dev.vard.proto.v1.PlanRequest;
import dev.vard.proto.v1.PlanResponse;
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
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;

/**
 * A worker without a model, behind a real gRPC server: keeps the contract's book-keeping, and
 * refuses what a worker would refuse. What it draws is in {@link FakeImages}, what a session went
 * through in {@link FakeSession}.
 */
public final class FakeWorker extends WorkerServiceGrpc.WorkerServiceImplBase
    implements AutoCloseable {
  private static final int IMAGES_PER_CHUNK = 3;

  /** Every request, in order. */
  final List<Object> requests = new ArrayList<>();

  /** Counted down when a sampling begins that will not end by itself. */
  final CountDownLatch stuck = new CountDownLatch(1);

  /** Counted down when that sampling was cancelled. */
  final CountDownLatch cancelled = new CountDownLatch(1);

  boolean conditional = true;

  /** Of each policy phase's second step. */
  volatile double gradientNorm = 3;

  private final FakeRefusals refusals = new FakeRefusals();
  private final Server server;
  private final String address;
  private boolean neverEnds;
  private FakeSession session = FakeSession.none();

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
    refusals.refuse(request, code, message);
  }

  /** Answers the first so many requests of this type, and refuses those after. */
  public void refuseFrom(Class<?> request, int answered, ErrorCode code, String message) {
    refusals.refuseFrom(request, answered, code, message);
  }

  /** Answers requests of this type again. */
  public void relent(Class<?> request) {
    refusals.relent(request);
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

  /** Whether a session is. */
  synchronized boolean isOpen() {
    return session.open();
  }

  /** The trajectories that the session holds. */
  synchronized Set<String> held() {
    return Set.copyOf(session.held());
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
    session = new FakeSession(request.getSessionId());
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
            .addAllImageShape(List.of(FakeImages.SIDE, FakeImages.SIDE, 3))
            .putPhases("sample", 1000)
            .setPeakBytes(request.getPolicyBatch() * 1000L)
            .build());
  }

  private SessionDescription description() {
    return SessionDescription.newBuilder()
        .setSessionId(session.id())
        .setOperation(session.operation())
        .setConditional(conditional)
        .addSigmas(0.5)
        .build();
  }

  @Override
  public synchronized void describe(
      DescribeRequest request, StreamObserver<DescribeResponse> answer) {
    DescribeResponse.Builder response = DescribeResponse.newBuilder();
    if (session.open()) {
      response.addSessions(description());
    }
    reply(answer, response.build());
  }

  @Override
  public synchronized void save(SaveRequest request, StreamObserver<SaveResponse> answer) {
    if (refused(request, answer) || refused(session.stranger(request.getSessionId()), answer)) {
      return;
    }
    try {
      session.save(Path.of(request.getPath()));
      reply(answer, SaveResponse.newBuilder().setBytes(100).build());
    } catch (IOException e) {
      fail(answer, FakeSession.error(ErrorCode.STORAGE, e.toString()));
    }
  }

  @Override
  public synchronized void restore(RestoreRequest request, StreamObserver<RestoreResponse> answer) {
    if (refused(request, answer)) {
      return;
    }
    try {
      Optional<FakeSession> restored =
          FakeSession.restore(request.getSessionId(), Path.of(request.getPath()));
      if (restored.isEmpty()) {
        fail(
            answer,
            FakeSession.error(ErrorCode.CORRUPT_CHECKPOINT, request.getPath() + " is damaged"));
        return;
      }
      session = restored.get();
      reply(answer, RestoreResponse.newBuilder().setSession(description()).build());
    } catch (IOException e) {
      fail(answer, FakeSession.error(ErrorCode.CHECKPOINT_NOT_FOUND, e.toString()));
    }
  }

  @Override
  public synchronized void sample(SampleRequest request, StreamObserver<SampleResponse> answer) {
    if (refused(request, answer)
        || refused(session.stranger(request.getSessionId()), answer)
        || request.getRetain()
            && refused(session.outOfOrder(request.getOperation(), request), answer)) {
      return;
    }
    if (request.getRetain()) {
      if (neverEnds) {
        ((ServerCallStreamObserver<SampleResponse>) answer)
            .setOnCancelHandler(cancelled::countDown);
        answer.onNext(FakeImages.chunk(request, 0, 1, session.improvements()));
        stuck.countDown();
        return;
      }
      if (session.changes(request.getOperation(), request)) {
        request.getTrajectoriesList().forEach(trajectory -> session.held().add(trajectory.getId()));
      }
    }
    int count = request.getTrajectoriesCount();
    for (int first = 0; first < count; first += IMAGES_PER_CHUNK) {
      answer.onNext(
          FakeImages.chunk(
              request, first, Math.min(IMAGES_PER_CHUNK, count - first), session.improvements()));
    }
    reply(
        answer,
        SampleResponse.newBuilder()
            .setSummary(SampleSummary.newBuilder().setImages(count))
            .build());
  }

  @Override
  public synchronized void evaluate(
      EvaluateRequest request, StreamObserver<EvaluateResponse> answer) {
    if (refused(request, answer)
        || refused(session.stranger(request.getSessionId()), answer)
        || refused(
            session.unknown(
                request.getTargetsList().stream().map(Target::getTrajectoryId).toList()),
            answer)) {
      return;
    }
    reply(answer, FakeAnswers.evaluation());
  }

  @Override
  public synchronized void fitValue(
      FitValueRequest request, StreamObserver<FitValueResponse> answer) {
    if (refused(request, answer)
        || refused(session.stranger(request.getSessionId()), answer)
        || refused(
            session.unknown(
                request.getTargetsList().stream().map(Target::getTrajectoryId).toList()),
            answer)
        || refused(session.outOfOrder(request.getOperation(), request), answer)) {
      return;
    }
    session.changes(request.getOperation(), request);
    reply(answer, FitValueResponse.newBuilder().addAllLosses(List.of(8.0, 4.0, 2.0)).build());
  }

  @Override
  public synchronized void improvePolicy(
      ImprovePolicyRequest request, StreamObserver<ImprovePolicyResponse> answer) {
    if (refused(request, answer)
        || refused(session.stranger(request.getSessionId()), answer)
        || refused(session.unknown(request.getTrajectoryIdsList()), answer)
        || refused(session.outOfOrder(request.getOperation(), request), answer)) {
      return;
    }
    if (session.changes(request.getOperation(), request)) {
      session.improve();
    }
    reply(answer, FakeAnswers.improvement(request, gradientNorm));
  }

  @Override
  public synchronized void release(ReleaseRequest request, StreamObserver<ReleaseResponse> answer) {
    if (refused(request, answer)
        || refused(session.stranger(request.getSessionId()), answer)
        || refused(session.outOfOrder(request.getOperation(), request), answer)) {
      return;
    }
    if (request.getOperation() != session.operation()
        && refused(session.unknown(request.getTrajectoryIdsList()), answer)) {
      return;
    }
    if (session.changes(request.getOperation(), request)) {
      request.getTrajectoryIdsList().forEach(session.held()::remove);
    }
    reply(answer, ReleaseResponse.newBuilder().setHeld(session.held().size()).build());
  }

  @Override
  public synchronized void export(ExportRequest request, StreamObserver<ExportResponse> answer) {
    if (refused(request, answer)) {
      return;
    }
    try {
      Path folder = Files.createDirectories(Path.of(request.getPath()));
      Path file = folder.resolve("pytorch_lora_weights.safetensors");
      String weights = session.weights();
      Files.writeString(file, weights);
      reply(
          answer,
          ExportResponse.newBuilder()
              .setFile(file.toString())
              .setSha256(FakeSession.hash(weights))
              .build());
    } catch (IOException e) {
      answer.onError(Status.INTERNAL.withCause(e).asRuntimeException());
    }
  }

  @Override
  public synchronized void close(CloseRequest request, StreamObserver<CloseResponse> answer) {
    if (refused(request, answer)) {
      return;
    }
    session.close();
    reply(answer, CloseResponse.getDefaultInstance());
  }

  private boolean refused(Object request, StreamObserver<?> answer) {
    requests.add(request);
    return refused(refusals.of(request), answer);
  }

  private static boolean refused(Optional<WorkerError> error, StreamObserver<?> answer) {
    error.ifPresent(told -> fail(answer, told));
    return error.isPresent();
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
