package dev.vard.reward.kind;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.sun.net.httpserver.HttpExchange;
import dev.vard.proto.v1.RewardOutcome;
import dev.vard.proto.v1.RewardQuery;
import dev.vard.proto.v1.ScoreRequest;
import dev.vard.proto.v1.ScoreResponse;
import dev.vard.reward.Answer;
import dev.vard.reward.RewardRound;
import dev.vard.reward.RewardScorer;
import dev.vard.reward.Rewards;
import dev.vard.spec.AskingSpec;
import dev.vard.spec.RewardSource;
import dev.vard.spec.RewardSource.Access;
import dev.vard.spec.RewardSpec;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.LongStream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Of a service's answers 30 % fail, 5 % never come and one in a hundred is malformed: the scores
 * are those of a faultless service, and no image is scored again once its score has arrived.
 */
@Timeout(180)
class FlakyServiceTest {
  private static final int QUERIES = 300;

  /** Far beyond what an answer takes here, so that one that is given arrives. */
  private static final Duration TIMEOUT = Duration.ofSeconds(2);

  private static final AskingSpec ASKING =
      new AskingSpec(Optional.of(2), Optional.of(8), TIMEOUT, 20, Optional.empty());

  private final Faults faults = new Faults();

  private enum Conduct {
    SCORE,
    FAIL,
    HANG,
    MALFORMED
  }

  /** Draws what becomes of a query, the same in each run of this test, and counts. */
  private static final class Faults {
    private final Map<Long, Integer> asked = new ConcurrentHashMap<>();
    private final Map<Long, Integer> scored = new ConcurrentHashMap<>();
    private final Map<Conduct, Integer> happened = new ConcurrentHashMap<>();

    Conduct of(long seed) {
      double drawn =
          new SplittableRandom(seed * 1000 + asked.merge(seed, 1, Integer::sum)).nextDouble();
      Conduct conduct =
          drawn < 0.30
              ? Conduct.FAIL
              : drawn < 0.35 ? Conduct.HANG : drawn < 0.36 ? Conduct.MALFORMED : Conduct.SCORE;
      happened.merge(conduct, 1, Integer::sum);
      return conduct;
    }

    void scored(long seed) {
      scored.merge(seed, 1, Integer::sum);
    }
  }

  @Test
  void shouldDoNoHarmOverGrpc() throws Exception {
    try (GrpcRewardServer server = new GrpcRewardServer();
        GrpcRewardServer other = new GrpcRewardServer()) {
      var source =
          new RewardSource.Grpc(List.of(server.endpoint(), other.endpoint()), "", Access.OPEN);
      List<Answer> faultless = answers(source);
      server.answer = this::overGrpc;
      other.answer = this::overGrpc;

      assertUnharmed(faultless, answers(source));
    }
  }

  @Test
  void shouldDoNoHarmOverHttp() throws Exception {
    try (HttpRewardServer server = new HttpRewardServer()) {
      var source = new RewardSource.Http(server.url(), Access.OPEN);
      List<Answer> faultless = answers(source);
      server.answer = (request, exchange) -> overHttp(server, request, exchange);

      assertUnharmed(faultless, answers(source));
    }
  }

  private void assertUnharmed(List<Answer> faultless, List<Answer> flaky) {
    assertThat(faultless)
        .isEqualTo(
            Asked.queries(QUERIES).stream()
                .map(query -> new Answer.Scored(Asked.score(query)))
                .toList());
    assertThat(flaky).isEqualTo(faultless);
    assertThat(faults.happened).as("nothing was left untried").containsOnlyKeys(Conduct.values());
    assertThat(faults.scored)
        .hasSize(QUERIES)
        .allSatisfy((seed, times) -> assertThat(times).isOne());
  }

  private static List<Answer> answers(RewardSource source) throws InterruptedException {
    RewardSpec spec =
        new RewardSpec(List.of(Asked.part(source, ASKING)), RewardSpec.OnFailure.PAUSE, 0.1, false);
    RewardKinds kinds = new RewardKinds(Asked.environment(Path.of("none"), Map.of()));
    try (Rewards rewards = kinds.open(spec);
        RewardScorer scorer = new RewardScorer(rewards)) {
      RewardRound round = scorer.round(QUERIES, List.of(Map.of()), RewardScorer.Ledger.NONE);
      for (dev.vard.reward.RewardQuery query : Asked.queries(QUERIES)) {
        round.add(query);
      }
      return round.await().getFirst();
    }
  }

  /** A call fails or hangs as a whole; malformed is the outcome of one query. */
  private void overGrpc(ScoreRequest request, StreamObserver<ScoreResponse> observer) {
    ScoreResponse.Builder response = ScoreResponse.newBuilder();
    long[] seeds = request.getQueriesList().stream().mapToLong(RewardQuery::getSeed).toArray();
    Conduct first = faults.of(seeds[0]);
    switch (first) {
      case FAIL ->
          observer.onError(
              (seeds[0] % 2 == 0 ? Status.UNAVAILABLE : Status.INTERNAL).asException());
      case HANG -> {}
      case SCORE, MALFORMED -> {
        for (int i = 0; i < seeds.length; i++) {
          boolean malformed = i == 0 && first == Conduct.MALFORMED;
          response.addOutcomes(
              malformed
                  ? RewardOutcome.getDefaultInstance()
                  : GrpcRewardServer.score(request.getQueries(i)));
          if (!malformed) {
            faults.scored(seeds[i]);
          }
        }
        GrpcRewardServer.give(observer, response.build());
      }
    }
  }

  private void overHttp(HttpRewardServer server, JsonNode request, HttpExchange exchange)
      throws IOException {
    long[] seeds =
        StreamSupport.stream(request.get("seed").spliterator(), false)
            .mapToLong(JsonNode::longValue)
            .toArray();
    switch (faults.of(seeds[0])) {
      case FAIL ->
          HttpRewardServer.give(exchange, List.of(500, 503, 429).get((int) seeds[0] % 3), "no");
      case HANG -> server.hang();
      case MALFORMED -> HttpRewardServer.give(exchange, 200, "{\"rewards\": [0.");
      case SCORE -> {
        LongStream.of(seeds).forEach(faults::scored);
        HttpRewardServer.scoreAll(request, exchange);
      }
    }
  }
}
