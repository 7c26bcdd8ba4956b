package dev.vard.reward.kind;

import static dev.vard.reward.kind.Asked.PATIENCE;
import static dev.vard.reward.kind.Asked.queries;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.Any;
import com.google.rpc.RetryInfo;
import dev.vard.proto.v1.RewardFailure;
import dev.vard.proto.v1.ScoreResponse;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.reward.RewardOutcome.Score;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a run hears of a server that does not score. */
class GrpcRewardFailuresTest extends GrpcRewardBehaviour {
  @ParameterizedTest
  @EnumSource(
      value = Status.Code.class,
      names = {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL", "UNKNOWN", "CANCELLED"})
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
    server.answer = (request, observer) -> observer.onError(StatusProto.toStatusException(status));

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
        (request, observer) -> GrpcRewardServer.give(observer, ScoreResponse.getDefaultInstance());

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
