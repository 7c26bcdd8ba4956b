package dev.vard.reward.kind;

import static dev.vard.reward.kind.Asked.PATIENCE;
import static dev.vard.reward.kind.Asked.queries;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.Any;
import com.google.rpc.RetryInfo;
import dev.vard.api.TestCertificates;
import dev.vard.proto.v1.DescribeRewardResponse;
import dev.vard.proto.v1.RewardFailure;
import dev.vard.proto.v1.ScoreRequest;
import dev.vard.proto.v1.ScoreResponse;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.reward.RewardOutcome.Score;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.AskingSpec.Range;
import dev.vard.spec.RewardSource;
import dev.vard.spec.RewardSource.Access;
import io.grpc.ServerCredentials;
import io.grpc.Status;
import io.grpc.TlsServerCredentials;
import io.grpc.protobuf.StatusProto;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Against a real server. */
@Timeout(60)
class GrpcRewardTest {
  private GrpcRewardServer server;

  @BeforeEach
  void start() throws Exception {
    server = new GrpcRewardServer();
  }

  @AfterEach
  void stop() throws Exception {
    server.close();
  }

  private static Reward open(
      List<String> endpoints, Access access, Duration timeout, Map<String, String> variables) {
    var source = new RewardSource.Grpc(endpoints, "", access);
    return new RewardKinds(Asked.environment(Path.of("none"), variables))
        .open(Asked.part(source, Asked.asking(timeout)));
  }

  private Reward open() {
    return open(List.of(server.endpoint()), Access.OPEN, PATIENCE, Map.of());
  }

  private Failure failure(Duration timeout) throws Exception {
    try (Reward reward = open(List.of(server.endpoint()), Access.OPEN, timeout, Map.of())) {
      List<RewardOutcome> outcomes = reward.score(queries(2));
      assertThat(outcomes).hasSize(2).containsOnly(outcomes.getFirst());
      return (Failure) outcomes.getFirst();
    }
  }

  private static RewardException refusal(Runnable opening) {
    AtomicReference<RewardException> thrown = new AtomicReference<>();
    assertThatThrownBy(opening::run).isInstanceOfSatisfying(RewardException.class, thrown::set);
    return thrown.get();
  }

  @Nested
  class Scores {
    @Test
    void shouldBeThoseOfThePixelsAndPrompts() throws Exception {
      List<RewardQuery> queries = queries(5);
      try (Reward reward = open()) {
        assertThat(reward.score(queries))
            .isEqualTo(queries.stream().map(query -> new Score(Asked.score(query))).toList());
      }
      ScoreRequest request = server.requests.getFirst();
      assertThat(request.getRunId()).isEqualTo("run-1");
      assertThat(request.getIteration()).isEqualTo(3);
      assertThat(request.getQueries(4).getSeed()).isEqualTo(4);
    }

    @Test
    void shouldComeFromSeveralCallsWhereOneWouldBeTooLarge() throws Exception {
      // 1.6 MB each.
      List<RewardQuery> queries =
          IntStream.range(0, 5).mapToObj(seed -> Asked.query(seed, 730, 731)).toList();
      try (Reward reward = open()) {
        assertThat(reward.score(queries))
            .isEqualTo(queries.stream().map(query -> new Score(Asked.score(query))).toList());
      }
      assertThat(server.requests)
          .extracting(ScoreRequest::getQueriesCount)
          .containsExactly(2, 2, 1);
    }

    @Test
    void shouldComeFromSmallerCallsWhereTheServerTakesLess() throws Exception {
      // Four make 1.6 MB, which is sent at once and refused; two of 0.8 MB are taken.
      List<RewardQuery> queries =
          IntStream.range(0, 6).mapToObj(seed -> Asked.query(seed, 365, 366)).toList();
      try (GrpcRewardServer small = GrpcRewardServer.taking(1_000_000);
          Reward reward = open(List.of(small.endpoint()), Access.OPEN, PATIENCE, Map.of())) {
        assertThat(reward.score(queries))
            .isEqualTo(queries.stream().map(query -> new Score(Asked.score(query))).toList());
        assertThat(reward.score(queries)).hasOnlyElementsOfType(Score.class);
        assertThat(small.requests)
            .extracting(ScoreRequest::getQueriesCount)
            .containsExactly(2, 2, 2, 2, 2, 2);
      }
    }

    @Test
    void shouldFailForGoodForOneImageThatIsTooLargeAndForNoOther() throws Exception {
      List<RewardQuery> queries =
          List.of(Asked.query(0, 8, 8), Asked.query(1, 1200, 1200), Asked.query(2, 8, 8));
      try (Reward reward = open()) {
        List<RewardOutcome> outcomes = reward.score(queries);

        assertThat(outcomes.get(0)).isEqualTo(new Score(Asked.score(queries.get(0))));
        assertThat(outcomes.get(1))
            .isInstanceOfSatisfying(
                Failure.class,
                failure -> {
                  assertThat(failure.retryable()).isFalse();
                  assertThat(failure.code()).isEqualTo("RESOURCE_EXHAUSTED");
                  assertThat(failure.message())
                      .contains("takes no message of 43200")
                      .contains("let it receive that many, or draw smaller images");
                });
        assertThat(outcomes.get(2)).isEqualTo(new Score(Asked.score(queries.get(2))));
      }
    }

    @Test
    void shouldBeKeptWhenALaterCallFails() throws Exception {
      List<RewardQuery> queries =
          IntStream.range(0, 6).mapToObj(seed -> Asked.query(seed, 730, 731)).toList();
      server.answer =
          (request, observer) -> {
            if (server.requests.size() == 2) {
              observer.onError(Status.UNAVAILABLE.asException());
            } else {
              GrpcRewardServer.scoreAll(request, observer);
            }
          };
      try (Reward reward = open()) {
        List<RewardOutcome> outcomes = reward.score(queries);
        assertThat(outcomes).hasSize(6);
        assertThat(outcomes.subList(0, 2))
            .containsExactly(
                new Score(Asked.score(queries.get(0))), new Score(Asked.score(queries.get(1))));
        assertThat(outcomes.subList(2, 6)).hasOnlyElementsOfType(Failure.class);
      }
      assertThat(server.requests).as("no call after the one that failed").hasSize(2);
    }

    @Test
    void shouldComeInTurnsFromAllEndpoints() throws Exception {
      try (GrpcRewardServer other = new GrpcRewardServer();
          Reward reward =
              open(List.of(server.endpoint(), other.endpoint()), Access.OPEN, PATIENCE, Map.of())) {
        while (server.requests.isEmpty() || other.requests.isEmpty()) {
          assertThat(reward.score(queries(1))).hasOnlyElementsOfType(Score.class);
        }
        int before = other.requests.size();
        for (int i = 0; i < 10; i++) {
          reward.score(queries(1));
        }
        assertThat(other.requests.size() - before).isEqualTo(5);
      }
    }

    @Test
    void shouldComeFromTheEndpointsThatAreLeft() throws Exception {
      try (GrpcRewardServer other = new GrpcRewardServer();
          Reward reward =
              open(List.of(server.endpoint(), other.endpoint()), Access.OPEN, PATIENCE, Map.of())) {
        server.close();
        other.answer = GrpcRewardServer::scoreAll;
        // A call that was on its way to the one that ended may fail; the next does not.
        List<RewardOutcome> outcomes = reward.score(queries(1));
        while (outcomes.getFirst() instanceof Failure failure) {
          assertThat(failure.retryable()).isTrue();
          outcomes = reward.score(queries(1));
        }
        for (int i = 0; i < 10; i++) {
          assertThat(reward.score(queries(1))).hasOnlyElementsOfType(Score.class);
        }
      }
    }

    @Test
    void shouldNotBeAskedOfAnEndpointThatIsNotServing() throws Exception {
      server.serving(false);
      try (GrpcRewardServer other = new GrpcRewardServer();
          Reward reward =
              open(List.of(server.endpoint(), other.endpoint()), Access.OPEN, PATIENCE, Map.of())) {
        for (int i = 0; i < 10; i++) {
          assertThat(reward.score(queries(1))).hasOnlyElementsOfType(Score.class);
        }
        assertThat(server.requests).isEmpty();

        server.serving(true);
        while (server.requests.isEmpty()) {
          reward.score(queries(1));
        }
      }
    }

    @Test
    void shouldComeAgainAfterARestart() throws Exception {
      try (Reward reward = open()) {
        int port = server.port();
        server.close();
        assertThat(((Failure) reward.score(queries(1)).getFirst()).code()).isEqualTo("UNAVAILABLE");
        try (GrpcRewardServer again = new GrpcRewardServer(port)) {
          // Long before the channel's own backoff ends.
          while (reward.score(queries(1)).getFirst() instanceof Failure failure) {
            assertThat(failure.code()).isEqualTo("UNAVAILABLE");
          }
          assertThat(again.requests).hasSize(1);
        }
      }
    }

    @Test
    void shouldBeAsTheServerGivesThemEvenIfTheyAreNaN() throws Exception {
      server.answer =
          (request, observer) -> {
            ScoreResponse.Builder response = ScoreResponse.newBuilder();
            response.addOutcomesBuilder().setScore(Double.NaN);
            response.addOutcomesBuilder().setScore(Double.NEGATIVE_INFINITY);
            GrpcRewardServer.give(observer, response.build());
          };
      try (Reward reward = open()) {
        assertThat(reward.score(queries(2)))
            .containsExactly(new Score(Double.NaN), new Score(Double.NEGATIVE_INFINITY));
      }
    }
  }

  @Nested
  class Failures {
    @ParameterizedTest
    @EnumSource(
        value = Status.Code.class,
        names = {
          "UNAVAILABLE",
          "RESOURCE_EXHAUSTED",
          "ABORTED",
          "INTERNAL",
          "UNKNOWN",
          "CANCELLED"
        })
    void shouldPassByTheseStatuses(Status.Code code) throws Exception {
      Failure failure = failing(code.toStatus().withDescription("mind\nthe  gap"));

      assertThat(failure.retryable()).isTrue();
      assertThat(failure.code()).isEqualTo(code.name());
      assertThat(failure.message()).contains(server.endpoint()).contains("mind the gap");
      assertThat(failure.retryAfter()).isEmpty();
    }

    @ParameterizedTest
    @EnumSource(
        value = Status.Code.class,
        names = {
          "INVALID_ARGUMENT",
          "UNIMPLEMENTED",
          "UNAUTHENTICATED",
          "PERMISSION_DENIED",
          "NOT_FOUND",
          "FAILED_PRECONDITION",
          "OUT_OF_RANGE",
          "ALREADY_EXISTS",
          "DATA_LOSS"
        })
    void shouldLastByTheOthers(Status.Code code) throws Exception {
      Failure failure = failing(code.toStatus().withDescription("no"));

      assertThat(failure.retryable()).isFalse();
      assertThat(failure.code()).isEqualTo(code.name());
      assertThat(failure.message()).contains(server.endpoint()).contains("no");
    }

    private Failure failing(Status status) throws Exception {
      server.answer = (request, observer) -> observer.onError(status.asException());
      return failure(PATIENCE);
    }

    @Test
    void shouldSayWhenToAskAgain() throws Exception {
      com.google.rpc.Status status =
          com.google.rpc.Status.newBuilder()
              .setCode(Status.Code.RESOURCE_EXHAUSTED.value())
              .addDetails(
                  Any.pack(
                      RetryInfo.newBuilder()
                          .setRetryDelay(
                              com.google.protobuf.Duration.newBuilder()
                                  .setSeconds(2)
                                  .setNanos(500_000_000))
                          .build()))
              .build();
      server.answer =
          (request, observer) -> observer.onError(StatusProto.toStatusException(status));

      assertThat(failure(PATIENCE).retryAfter()).contains(Duration.ofMillis(2500));
    }

    @Test
    void shouldTellOfAServerThatHangs() throws Exception {
      server.answer = (request, observer) -> {};

      Failure failure = failure(Duration.ofMillis(300));

      assertThat(failure.code()).isEqualTo("TIMEOUT");
      assertThat(failure.retryable()).isTrue();
      assertThat(failure.message()).contains("0.3 s").contains("reward.timeout");
      server.cancelled.await();
    }

    @Test
    void shouldTellOfAnExceptionInTheServer() throws Exception {
      server.answer =
          (request, observer) -> {
            throw new IllegalStateException("a bug of the test's own");
          };

      assertThat(failure(PATIENCE).code()).isEqualTo("UNKNOWN");
    }

    @Test
    void shouldTellOfTheWrongCount() throws Exception {
      server.answer =
          (request, observer) ->
              GrpcRewardServer.give(observer, ScoreResponse.getDefaultInstance());

      Failure failure = failure(PATIENCE);

      assertThat(failure.code()).isEqualTo("WRONG_COUNT");
      assertThat(failure.message()).endsWith("answered 2 queries with 0 outcomes");
    }

    @Test
    void shouldBeOfOneQueryWhereItsOutcomeIsNotSet() throws Exception {
      server.answer =
          (request, observer) ->
              GrpcRewardServer.give(
                  observer,
                  ScoreResponse.newBuilder()
                      .addOutcomes(GrpcRewardServer.score(request.getQueries(0)))
                      .addOutcomes(dev.vard.proto.v1.RewardOutcome.getDefaultInstance())
                      .build());
      try (Reward reward = open()) {
        List<RewardOutcome> outcomes = reward.score(queries(2));
        assertThat(outcomes.get(0)).isInstanceOf(Score.class);
        assertThat(outcomes.get(1))
            .isInstanceOfSatisfying(
                Failure.class,
                failure -> {
                  assertThat(failure.code()).isEqualTo("MALFORMED");
                  assertThat(failure.retryable()).isTrue();
                });
      }
    }

    @Test
    void shouldBeTheServersOwn() throws Exception {
      RewardFailure said =
          RewardFailure.newBuilder()
              .setCode("TOO_DARK")
              .setMessage("there is nothing to be seen")
              .setRetryable(true)
              .setRetryAfter(com.google.protobuf.Duration.newBuilder().setSeconds(3))
              .build();
      server.answer =
          (request, observer) -> {
            ScoreResponse.Builder response = ScoreResponse.newBuilder();
            request.getQueriesList().forEach(q -> response.addOutcomesBuilder().setFailure(said));
            GrpcRewardServer.give(observer, response.build());
          };

      assertThat(failure(PATIENCE))
          .isEqualTo(
              new Failure(
                  "TOO_DARK",
                  server.endpoint() + " says: there is nothing to be seen",
                  true,
                  Optional.of(Duration.ofSeconds(3))));
    }

    @Test
    void shouldEndTheCallWhenInterrupted() throws Exception {
      CountDownLatch called = new CountDownLatch(1);
      server.answer = (request, observer) -> called.countDown();
      try (Reward reward = open()) {
        AtomicReference<RewardOutcome> outcome = new AtomicReference<>();
        AtomicReference<Boolean> interrupted = new AtomicReference<>();
        Thread thread =
            Thread.ofPlatform()
                .start(
                    () -> {
                      try {
                        outcome.set(reward.score(queries(1)).getFirst());
                      } catch (Exception e) {
                        throw new IllegalStateException(e);
                      }
                      interrupted.set(Thread.currentThread().isInterrupted());
                    });
        called.await();
        thread.interrupt();
        thread.join();

        assertThat(((Failure) outcome.get()).code()).isEqualTo("INTERRUPTED");
        assertThat(interrupted.get()).isTrue();
        server.cancelled.await();
      }
    }
  }

  @Nested
  class Opening {
    @Test
    void shouldTakeRangeAndBatchFromTheServer() {
      server.description =
          DescribeRewardResponse.newBuilder().setLeast(-1).setMost(2).setBatch(16).build();
      try (Reward reward = open()) {
        assertThat(reward.range()).contains(new Range(-1, 2));
        assertThat(reward.batch()).isEqualTo(16);
      }
    }

    @Test
    void shouldLeaveOpenWhatTheServerDoesNotSay() {
      server.description = DescribeRewardResponse.newBuilder().setLeast(0).build();
      try (Reward reward = open()) {
        assertThat(reward.range()).contains(new Range(0, Double.POSITIVE_INFINITY));
        assertThat(reward.batch()).isEqualTo(Integer.MAX_VALUE);
      }
    }

    @Test
    void shouldRefuseARangeThatHoldsNothing() {
      server.description = DescribeRewardResponse.newBuilder().setLeast(1).setMost(1).build();

      RewardException refusal = refusal(GrpcRewardTest.this::open);

      assertThat(refusal.code()).isEqualTo("MALFORMED");
      assertThat(refusal.retryable()).isFalse();
    }

    @Test
    void shouldTellThatNobodyIsThere() throws Exception {
      String nowhere;
      try (ServerSocket free = new ServerSocket(0)) {
        nowhere = "127.0.0.1:" + free.getLocalPort();
      }

      RewardException refusal =
          refusal(() -> open(List.of(nowhere), Access.OPEN, PATIENCE, Map.of()));

      assertThat(refusal.code()).isEqualTo("UNAVAILABLE");
      assertThat(refusal.retryable()).isTrue();
      assertThat(refusal).hasMessageContaining(nowhere).hasMessageContaining("check that it runs");
    }

    @Test
    void shouldDoWithoutHealth() throws Exception {
      server.tellsHealth = false;
      try (Reward reward = open()) {
        assertThat(reward.score(queries(1))).hasOnlyElementsOfType(Score.class);
      }
    }

    @Test
    void shouldRefuseAPortThatThereIsNot() {
      RewardException refusal =
          refusal(() -> open(List.of("127.0.0.1:70000"), Access.OPEN, PATIENCE, Map.of()));

      assertThat(refusal.code()).isEqualTo("BAD_ENDPOINT");
      assertThat(refusal).hasMessageContaining("70000");
    }

    @Test
    void shouldTellThatAServerIsNotServing() {
      server.serving(false);

      RewardException refusal = refusal(GrpcRewardTest.this::open);

      assertThat(refusal.code()).isEqualTo("UNAVAILABLE");
      assertThat(refusal.retryable()).isTrue();
    }
  }

  @Nested
  class Security {
    @TempDir Path folder;

    @Test
    void shouldShowTheToken() throws Exception {
      try (Reward reward =
          open(
              List.of(server.endpoint()),
              Asked.withToken(false, Optional.empty()),
              PATIENCE,
              Map.of("VARD_REWARD_TOKEN", "s3cret\n"))) {
        reward.score(queries(1));
      }
      assertThat(server.tokens).containsExactly("Bearer s3cret", "Bearer s3cret");
    }

    @Test
    void shouldBeLetInByAServerThatAsksEverybodyForItsToken() throws Exception {
      server.wanted = Optional.of("Bearer s3cret");
      Access access = Asked.withToken(false, Optional.empty());
      try (Reward reward =
          open(
              List.of(server.endpoint()),
              access,
              PATIENCE,
              Map.of("VARD_REWARD_TOKEN", "s3cret"))) {
        assertThat(reward.score(queries(1))).hasOnlyElementsOfType(Score.class);
      }
      Map<String, String> other = Map.of("VARD_REWARD_TOKEN", "wrong");

      RewardException refusal =
          refusal(() -> open(List.of(server.endpoint()), access, PATIENCE, other));

      assertThat(refusal.code()).isEqualTo("UNAUTHENTICATED");
      assertThat(refusal.retryable()).isFalse();
      assertThat(refusal)
          .hasMessageContaining("who are you?")
          .hasMessageContaining("reward.token-env")
          .hasMessageNotContaining("wrong");
    }

    @Test
    void shouldNameAVariableThatIsNotSet() {
      RewardException refusal =
          refusal(
              () ->
                  open(
                      List.of(server.endpoint()),
                      Asked.withToken(false, Optional.empty()),
                      PATIENCE,
                      Map.of()));

      assertThat(refusal.code()).isEqualTo("NO_TOKEN");
      assertThat(refusal).hasMessageContaining("VARD_REWARD_TOKEN");
    }

    @Test
    void shouldNotSayATokenInTheClearBeyondThisMachine() {
      RewardException refusal =
          refusal(
              () ->
                  open(
                      List.of(server.endpoint(), "192.0.2.1:443"),
                      Asked.withToken(false, Optional.empty()),
                      PATIENCE,
                      Map.of("VARD_REWARD_TOKEN", "s3cret")));

      assertThat(refusal.code()).isEqualTo("TOKEN_IN_THE_CLEAR");
      assertThat(refusal)
          .hasMessageContaining("192.0.2.1")
          .hasMessageContaining("TLS")
          .hasMessageNotContaining("s3cret");
    }

    @Test
    void shouldEncrypt() throws Exception {
      ServerCredentials credentials = credentials(new TestCertificates(folder));
      Access access = Asked.withToken(true, Optional.of(folder.resolve("authority.pem")));
      try (GrpcRewardServer encrypted = new GrpcRewardServer("127.0.0.1", credentials);
          Reward reward =
              open(
                  List.of("localhost:" + encrypted.port()),
                  access,
                  PATIENCE,
                  Map.of("VARD_REWARD_TOKEN", "s3cret"))) {
        assertThat(reward.score(queries(1))).hasOnlyElementsOfType(Score.class);
        assertThat(encrypted.tokens).contains("Bearer s3cret");
      }
    }

    @Test
    void shouldCheckTheCertificateOfEachEndpointByItsOwnName() throws Exception {
      TestCertificates certificates = new TestCertificates(folder);
      ServerCredentials credentials = credentials(certificates);
      Access access = new Access(true, Optional.of(certificates.authority()), Optional.empty());
      // The certificate is for 127.0.0.1.
      try (GrpcRewardServer certified = new GrpcRewardServer("127.0.0.1", credentials);
          GrpcRewardServer stranger = new GrpcRewardServer("127.0.0.2", credentials)) {
        List<String> both = List.of(stranger.endpoint(), certified.endpoint());
        try (Reward reward = open(both, access, PATIENCE, Map.of())) {
          for (int i = 0; i < 5; i++) {
            assertThat(reward.score(queries(1))).hasOnlyElementsOfType(Score.class);
          }
        }
        assertThat(stranger.requests).isEmpty();
      }
    }

    private static ServerCredentials credentials(TestCertificates certificates) throws Exception {
      certificates.make("reward");
      return TlsServerCredentials.create(
          certificates.certificate("reward", ".crt").toFile(),
          certificates.certificate("reward", ".key").toFile());
    }

    @Test
    void shouldNotTrustAServerOfAnotherAuthority() throws Exception {
      ServerCredentials credentials = credentials(new TestCertificates(folder));
      try (GrpcRewardServer encrypted = new GrpcRewardServer("127.0.0.1", credentials)) {
        Access access = new Access(true, Optional.empty(), Optional.empty());

        RewardException refusal =
            refusal(() -> open(List.of(encrypted.endpoint()), access, PATIENCE, Map.of()));

        assertThat(refusal.code()).isEqualTo("UNAVAILABLE");
        assertThat(refusal).hasMessageContaining("TLS");
      }
    }
  }
}
