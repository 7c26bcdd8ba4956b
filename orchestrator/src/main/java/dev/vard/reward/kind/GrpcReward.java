package dev.vard.reward.kind;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.RetryInfo;
import dev.vard.proto.v1.DescribeRewardRequest;
import dev.vard.proto.v1.DescribeRewardResponse;
import dev.vard.proto.v1.RewardServiceGrpc;
import dev.vard.proto.v1.ScoreRequest;
import dev.vard.proto.v1.ScoreResponse;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.AskingSpec;
import dev.vard.spec.AskingSpec.Range;
import dev.vard.spec.RewardSource;
import dev.vard.worker.WorkerSecurity.Bearer;
import io.grpc.CallOptions;
import io.grpc.ChannelCredentials;
import io.grpc.CompositeChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.TlsChannelCredentials;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ClientCalls;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A {@code vard.v1.RewardService} elsewhere. Calls go in turns to those of its endpoints that are
 * connected and whose health service, where they have one, does not say that they are not serving:
 * gRPC's own {@code round_robin}.
 */
final class GrpcReward implements Reward {
  /** It calls it SEVERE that a server has no health service, though that will do. */
  private static final java.util.logging.Logger HEALTH =
      java.util.logging.Logger.getLogger(
          "io.grpc.protobuf.services.HealthCheckingLoadBalancerFactory");

  static {
    HEALTH.setLevel(java.util.logging.Level.OFF);
  }

  private static final Logger LOG = LoggerFactory.getLogger(GrpcReward.class);

  private static final Duration OPENING = Duration.ofSeconds(10);

  /** Servers hang up on who pings more often than every 5 minutes, unless told otherwise. */
  private static final Duration PING = Duration.ofMinutes(6);

  private static final Map<String, Object> IN_TURNS =
      Map.of("loadBalancingConfig", List.of(Map.of("round_robin", Map.of())));

  /** The server as a whole: every health service knows that name. */
  private static final Map<String, Object> IN_TURNS_IF_HEALTHY =
      Map.of(
          "loadBalancingConfig",
          IN_TURNS.get("loadBalancingConfig"),
          "healthCheckConfig",
          Map.of("serviceName", ""));

  private final String name;
  private final RewardSource.Grpc source;
  private final Duration timeout;
  private final ChannelCredentials credentials;
  private final ManagedChannel channel;
  private final MessageSize size = new MessageSize();
  private DescribeRewardResponse described = DescribeRewardResponse.getDefaultInstance();
  private Optional<Range> range = Optional.empty();

  private GrpcReward(
      String name, RewardSource.Grpc source, Duration timeout, ChannelCredentials credentials) {
    this.name = name;
    this.source = source;
    this.timeout = timeout;
    this.credentials = credentials;
    this.channel = connect(IN_TURNS_IF_HEALTHY);
  }

  private ManagedChannel connect(Map<String, Object> config) {
    String target =
        source.endpoints().size() == 1
            ? source.endpoints().getFirst()
            : EndpointsResolverProvider.target(source.endpoints());
    return Grpc.newChannelBuilder(target, credentials)
        .defaultServiceConfig(config)
        .disableServiceConfigLookUp()
        .keepAliveTime(PING.toSeconds(), TimeUnit.SECONDS)
        .build();
  }

  /**
   * Asks the server what it is.
   *
   * @throws RewardException if it cannot be asked, or will not be
   */
  static GrpcReward open(
      String name, RewardSource.Grpc source, AskingSpec asking, RewardEnvironment environment) {
    Optional<String> token =
        RemoteAccess.token(name, source.access(), hosts(name, source), environment);
    ChannelCredentials connection = credentials(name, source.access());
    // With the connection rather than with our calls, for health is asked by the connection.
    ChannelCredentials credentials =
        token
            .map(Bearer::new)
            .map(bearer -> CompositeChannelCredentials.create(connection, bearer))
            .orElse(connection);
    GrpcReward reward = new GrpcReward(name, source, asking.timeout(), credentials);
    try {
      reward.describe();
      return reward;
    } catch (RuntimeException e) {
      reward.close();
      throw e;
    }
  }

  private static List<String> hosts(String name, RewardSource.Grpc source) {
    try {
      return source.endpoints().stream()
          .map(endpoint -> EndpointsResolver.Endpoint.of(endpoint).host())
          .toList();
    } catch (IllegalArgumentException e) {
      throw new RewardException(
          name, "BAD_ENDPOINT", "reward.endpoints: " + e.getMessage(), false, e);
    }
  }

  private static ChannelCredentials credentials(String name, RewardSource.Access access) {
    if (!access.tls()) {
      return InsecureChannelCredentials.create();
    }
    TlsChannelCredentials.Builder credentials = TlsChannelCredentials.newBuilder();
    if (access.ca().isPresent()) {
      Path file = access.ca().get();
      try {
        credentials.trustManager(file.toFile());
      } catch (IOException e) {
        throw new RewardException(
            name, "BAD_CA", "%s cannot be read; give a PEM file".formatted(file), false, e);
      }
    }
    return credentials.build();
  }

  private void describe() {
    try {
      described = describe(channel);
    } catch (StatusException e) {
      Failure failure = failure(e, OPENING);
      if (e.getStatus().getCode() == Status.Code.UNAVAILABLE) {
        failure = diagnosis().orElse(failure);
      }
      throw new RewardException(name, failure.code(), failure.message(), failure.retryable(), e);
    }
    if (described.hasLeast() || described.hasMost()) {
      double least = described.hasLeast() ? described.getLeast() : Double.NEGATIVE_INFINITY;
      double most = described.hasMost() ? described.getMost() : Double.POSITIVE_INFINITY;
      if (!(least < most)) {
        throw new RewardException(
            name,
            "MALFORMED",
            "%s says that its scores lie between %s and %s; mend DescribeReward there"
                .formatted(where(), least, most),
            false,
            null);
      }
      range = Optional.of(new Range(least, most));
    }
    LOG.info(
        "reward {} is {} {} at {}", name, described.getName(), described.getVersion(), where());
  }

  private DescribeRewardResponse describe(ManagedChannel asked) throws StatusException {
    return call(
        asked,
        RewardServiceGrpc.getDescribeRewardMethod(),
        DescribeRewardRequest.newBuilder().setReward(source.reward()).build(),
        OPENING);
  }

  /**
   * Who is not let in cannot ask for health either, and to gRPC whose health is not known is merely
   * unavailable: what is wrong for good shows when health is left aside.
   */
  private Optional<Failure> diagnosis() {
    ManagedChannel unchecked = connect(IN_TURNS);
    try {
      describe(unchecked);
      return Optional.empty();
    } catch (StatusException e) {
      return Optional.of(failure(e, OPENING)).filter(failure -> !failure.retryable());
    } finally {
      unchecked.shutdownNow();
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public int batch() {
    return described.getBatch() > 0 ? described.getBatch() : Integer.MAX_VALUE;
  }

  @Override
  public Optional<Range> range() {
    return range;
  }

  /**
   * In one call, or in several where one would be too large. When a call fails in a way that may
   * pass, those after it are not made: they would most likely fail alike.
   */
  @Override
  public List<RewardOutcome> score(List<RewardQuery> queries) {
    List<RewardOutcome> outcomes = new ArrayList<>();
    while (outcomes.size() < queries.size()) {
      List<RewardQuery> rest = queries.subList(outcomes.size(), queries.size());
      List<RewardQuery> some = rest.subList(0, size.fitting(rest));
      ScoreRequest request = RewardMessages.request(source.reward(), some);
      try {
        outcomes.addAll(outcomes(some, scored(request)));
      } catch (StatusException e) {
        if (MessageSize.exceeded(e.getStatus())) {
          if (some.size() > 1) {
            size.lower(request);
          } else {
            outcomes.add(tooLarge(request, e));
          }
          continue;
        }
        // What was scored before is kept: it was paid for.
        Failure failure =
            Thread.currentThread().isInterrupted()
                ? new Failure("INTERRUPTED", "it was told to stop", false)
                : failure(e, timeout);
        boolean stop = failure.retryable() || failure.code().equals("INTERRUPTED");
        outcomes.addAll(Collections.nCopies(stop ? rest.size() : some.size(), failure));
      }
    }
    return outcomes;
  }

  private ScoreResponse scored(ScoreRequest request) throws StatusException {
    return call(channel, RewardServiceGrpc.getScoreMethod(), request, timeout);
  }

  private Failure tooLarge(ScoreRequest request, StatusException e) {
    String said = e.getStatus().getCode() + reason(e.getStatus());
    return lasting(
        e,
        "%s takes no message of %d bytes, which one image makes (%s); let it receive that many, or draw smaller images"
            .formatted(where(), request.getSerializedSize(), said));
  }

  /** Waits without cost; an interrupt cancels the call, and stays set. */
  private static <Q, R> R call(
      ManagedChannel asked, MethodDescriptor<Q, R> method, Q request, Duration deadline)
      throws StatusException {
    return ClientCalls.blockingV2UnaryCall(
        asked, method, CallOptions.DEFAULT.withDeadlineAfter(deadline), request);
  }

  private List<RewardOutcome> outcomes(List<RewardQuery> queries, ScoreResponse response) {
    if (response.getOutcomesCount() != queries.size()) {
      return Collections.nCopies(
          queries.size(),
          new Failure(
              "WRONG_COUNT",
              "%s answered %d queries with %d outcomes"
                  .formatted(where(), queries.size(), response.getOutcomesCount()),
              true));
    }
    return RewardMessages.outcomes(where(), response);
  }

  private Failure failure(StatusException e, Duration deadline) {
    Status status = e.getStatus();
    String said = status.getCode() + reason(status);
    return switch (status.getCode()) {
      case UNAVAILABLE -> {
        // Whoever asks again waits by himself; a channel that waits as well would be late.
        channel.resetConnectBackoff();
        yield passing(
            "UNAVAILABLE",
            "no reward server serves at %s (%s); check that it runs, that the address is right, and that both sides agree on TLS"
                .formatted(where(), said),
            e);
      }
      case DEADLINE_EXCEEDED ->
          passing(
              "TIMEOUT",
              "%s gave no answer within %s s; check that it is not stuck, or give reward.timeout more, or reward.batch less"
                  .formatted(where(), deadline.toMillis() / 1000.0),
              e);
      case RESOURCE_EXHAUSTED ->
          passing(
              "RESOURCE_EXHAUSTED",
              "%s has no room (%s); give reward.concurrency or reward.batch less"
                  .formatted(where(), said),
              e);
      // UNKNOWN is what gRPC makes of a server's own exceptions, as HTTP makes 500.
      case ABORTED, INTERNAL, UNKNOWN, CANCELLED ->
          passing(
              status.getCode().name(), "%s failed (%s); see its log".formatted(where(), said), e);
      case UNAUTHENTICATED ->
          lasting(
              e,
              "%s does not know who asks (%s); set reward.token-env to an environment variable that holds its token"
                  .formatted(where(), said));
      case PERMISSION_DENIED ->
          lasting(
              e,
              "%s does not let this token in (%s); ask its operator, or set the variable that reward.token-env names to another"
                  .formatted(where(), said));
      case UNIMPLEMENTED ->
          lasting(
              e,
              "%s is no vard.v1.RewardService (%s); check the address, or implement reward.proto there"
                  .formatted(where(), said));
      case NOT_FOUND ->
          lasting(
              e,
              "%s has no reward '%s' (%s); set reward.served to one that it has"
                  .formatted(where(), source.reward(), said));
      case INVALID_ARGUMENT, ALREADY_EXISTS, FAILED_PRECONDITION, OUT_OF_RANGE, DATA_LOSS ->
          lasting(e, "%s refuses (%s); see its log".formatted(where(), said));
      case OK -> throw new IllegalStateException("a call failed with OK", e);
    };
  }

  private static Failure passing(String code, String message, StatusException e) {
    return new Failure(code, message, true, retryAfter(e));
  }

  private static Failure lasting(StatusException e, String message) {
    return new Failure(e.getStatus().getCode().name(), message, false);
  }

  private static String reason(Status status) {
    String cause =
        Optional.ofNullable(status.getCause())
            .map(Throwable::getMessage)
            .map(message -> ": " + message)
            .orElse("");
    String said = Optional.ofNullable(status.getDescription()).orElse("") + cause;
    return said.isBlank() ? "" : ", " + Quoted.of(said);
  }

  /** By {@code google.rpc.RetryInfo}, if the server gives one. */
  private static Optional<Duration> retryAfter(StatusException e) {
    com.google.rpc.Status status = StatusProto.fromThrowable(e);
    for (Any detail : status == null ? List.<Any>of() : status.getDetailsList()) {
      if (detail.is(RetryInfo.class)) {
        try {
          return Optional.of(
              RewardMessages.duration(detail.unpack(RetryInfo.class).getRetryDelay()));
        } catch (InvalidProtocolBufferException broken) {
          return Optional.empty();
        }
      }
    }
    return Optional.empty();
  }

  private String where() {
    return String.join(", ", source.endpoints());
  }

  @Override
  public void close() {
    channel.shutdownNow();
    try {
      channel.awaitTermination(5, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
