package dev.vard.reward.kind;

import static dev.vard.reward.kind.Asked.PATIENCE;
import static dev.vard.reward.kind.Asked.queries;
import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.proto.v1.ScoreRequest;
import dev.vard.proto.v1.ScoreResponse;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.reward.RewardOutcome.Score;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.RewardSource.Access;
import io.grpc.Status;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** What comes back of a server that answers, of several, and of one that takes little. */
class GrpcRewardScoresTest extends GrpcRewardBehaviour {
  @Test
  void shouldBeThoseOfThePixelsAndPrompts() throws Exception {
    List<RewardQuery> queries = queries(5);
    try (Reward reward = open()) {
      assertThat(reward.score(queries)).isEqualTo(Asked.scores(queries));
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
      assertThat(reward.score(queries)).isEqualTo(Asked.scores(queries));
    }
    assertThat(server.requests).extracting(ScoreRequest::getQueriesCount).containsExactly(2, 2, 1);
  }

  @Test
  void shouldComeFromSmallerCallsWhereTheServerTakesLess() throws Exception {
    // Four make 1.6 MB, which is sent at once and refused; two of 0.8 MB are taken.
    List<RewardQuery> queries =
        IntStream.range(0, 6).mapToObj(seed -> Asked.query(seed, 365, 366)).toList();
    try (GrpcRewardServer small = GrpcRewardServer.taking(1_000_000);
        Reward reward = open(List.of(small.endpoint()), Access.OPEN, PATIENCE, Map.of())) {
      assertThat(reward.score(queries)).isEqualTo(Asked.scores(queries));
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
