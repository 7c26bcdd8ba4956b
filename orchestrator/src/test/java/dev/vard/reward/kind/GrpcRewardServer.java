package dev.vard.reward.kind;

import dev.vard.proto.v1.DescribeRewardRequest;
import dev.vard.proto.v1.DescribeRewardResponse;
import dev.vard.proto.v1.RewardOutcome;
import dev.vard.proto.v1.RewardQuery;
import dev.vard.proto.v1.RewardServiceGrpc;
import dev.vard.proto.v1.ScoreRequest;
import dev.vard.proto.v1.ScoreResponse;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerCredentials;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.internal.GrpcUtil;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;

/** A real {@code vard.v1.RewardService} on loopback that answers as a test wants. */
public final class GrpcRewardServer implements AutoCloseable {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  /** Answers one call; may leave it open. */
  public interface Answer {
    void to(ScoreRequest request, StreamObserver<ScoreResponse> observer);
  }

  /** What came, in the order in which it came. */
  final List<ScoreRequest> requests = new CopyOnWriteArrayList<>();

  final List<String> tokens = new CopyOnWriteArrayList<>();
  final CountDownLatch cancelled = new CountDownLatch(1);

  public volatile Answer answer = GrpcRewardServer::scoreAll;
  volatile DescribeRewardResponse description =
      DescribeRewardResponse.newBuilder().setName("crc").setVersion("1").build();

  /** Whom it lets in, whatever they ask for; everybody, where it is empty. */
  volatile Optional<String> wanted = Optional.empty();

  /** Whether it has a health service. */
  volatile boolean tellsHealth = true;

  private final HealthStatusManager health = new HealthStatusManager();
  private final String address;
  private final Server server;

  public GrpcRewardServer() throws IOException {
    this(0);
  }

  GrpcRewardServer(int port) throws IOException {
    this("127.0.0.1", port, InsecureServerCredentials.create());
  }

  GrpcRewardServer(String address, ServerCredentials credentials) throws IOException {
    this(address, 0, credentials);
  }

  /** One that takes messages of so many bytes, instead of gRPC's 4 MiB. */
  static GrpcRewardServer taking(int bytes) throws IOException {
    return new GrpcRewardServer("127.0.0.1", 0, InsecureServerCredentials.create(), bytes);
  }

  private GrpcRewardServer(String address, int port, ServerCredentials credentials)
      throws IOException {
    this(address, port, credentials, GrpcUtil.DEFAULT_MAX_MESSAGE_SIZE);
  }

  private GrpcRewardServer(String address, int port, ServerCredentials credentials, int mostBytes)
      throws IOException {
    this.address = address;
    server =
        NettyServerBuilder.forAddress(new InetSocketAddress(address, port), credentials)
            .maxInboundMessageSize(mostBytes)
            .addService(new Service())
            .addService(health.getHealthService())
            .intercept(new Tokens())
            .build()
            .start();
  }

  public String endpoint() {
    return address + ":" + server.getPort();
  }

  int port() {
    return server.getPort();
  }

  void serving(boolean serves) {
    health.setStatus("", serves ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
  }

  static void scoreAll(ScoreRequest request, StreamObserver<ScoreResponse> observer) {
    ScoreResponse.Builder response = ScoreResponse.newBuilder();
    request.getQueriesList().forEach(query -> response.addOutcomes(score(query)));
    give(observer, response.build());
  }

  static RewardOutcome score(RewardQuery query) {
    return RewardOutcome.newBuilder()
        .setScore(
            Asked.score(
                query.getRgb().toByteArray(),
                query.getHeight(),
                query.getWidth(),
                query.getPrompt()))
        .build();
  }

  static <T> void give(StreamObserver<T> observer, T response) {
    observer.onNext(response);
    observer.onCompleted();
  }

  @Override
  public void close() throws InterruptedException {
    server.shutdownNow().awaitTermination();
  }

  private final class Service extends RewardServiceGrpc.RewardServiceImplBase {
    @Override
    public void describeReward(
        DescribeRewardRequest request, StreamObserver<DescribeRewardResponse> observer) {
      give(observer, description);
    }

    @Override
    public void score(ScoreRequest request, StreamObserver<ScoreResponse> observer) {
      requests.add(request);
      Context.current().addListener(context -> cancelled.countDown(), Runnable::run);
      answer.to(request, observer);
    }
  }

  private final class Tokens implements ServerInterceptor {
    @Override
    public <Q, R> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
      String token = headers.get(AUTHORIZATION);
      boolean ours = call.getMethodDescriptor().getServiceName().startsWith("vard.");
      if (ours && token != null) {
        tokens.add(token);
      }
      if (wanted.isPresent() && !wanted.get().equals(token)) {
        call.close(Status.UNAUTHENTICATED.withDescription("who are you?"), new Metadata());
        return new ServerCall.Listener<>() {};
      }
      if (!ours && !tellsHealth) {
        call.close(Status.UNIMPLEMENTED, new Metadata());
        return new ServerCall.Listener<>() {};
      }
      return Contexts.interceptCall(Context.current(), call, headers, next);
    }
  }
}
