package dev.vard.reward.kind;

import static dev.vard.reward.kind.Asked.PATIENCE;
import static dev.vard.reward.kind.Asked.queries;
import static dev.vard.reward.kind.Asked.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardOutcome.Score;
import dev.vard.spec.RewardSource.Access;
import java.net.ServerSocket;
import java.net.URI;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is asked before the first query. */
class HttpRewardOpeningTest extends HttpRewardBehaviour {
  @ParameterizedTest
  @CsvSource({"404, ''", "405, ''", "200, all is well"})
  void shouldDoWithoutHealth(int status, String body) throws Exception {
    server.health = exchange -> HttpRewardServer.give(exchange, status, body);

    try (Reward reward = open()) {
      assertThat(reward.score(queries(1))).hasOnlyElementsOfType(Score.class);
    }
  }

  @Test
  void shouldWaitForAServerThatIsNotWellYet() {
    server.health =
        exchange -> HttpRewardServer.give(exchange, 503, "{\"detail\": \"the model loads\"}");

    RewardException refusal = refusal(this::open);

    assertThat(refusal.retryable()).isTrue();
    assertThat(refusal).hasMessageContaining("503").hasMessageContaining("the model loads");
  }

  @Test
  void shouldTellThatNobodyIsThere() throws Exception {
    URI nowhere;
    try (ServerSocket free = new ServerSocket(0)) {
      nowhere = URI.create("http://127.0.0.1:" + free.getLocalPort());
    }

    RewardException refusal = refusal(() -> open(nowhere, Access.OPEN, PATIENCE, Map.of()));

    assertThat(refusal.code()).isEqualTo("UNAVAILABLE");
    assertThat(refusal.retryable()).isTrue();
    assertThat(refusal)
        .hasMessageContaining(nowhere.toString())
        .hasMessageContaining("check that it runs");
  }

  @Test
  void shouldRefuseAUrlWithoutAHost() {
    RewardException refusal =
        refusal(() -> open(URI.create("http://a_b"), Access.OPEN, PATIENCE, Map.of()));

    assertThat(refusal.code()).isEqualTo("BAD_URL");
  }
}
