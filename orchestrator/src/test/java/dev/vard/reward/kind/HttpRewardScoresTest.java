package dev.vard.reward.kind;

import static dev.vard.reward.kind.Asked.queries;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardOutcome.Score;
import dev.vard.reward.RewardQuery;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What is sent, and what comes back of a server that answers. */
class HttpRewardScoresTest extends HttpRewardBehaviour {
  @Test
  void shouldGiveTheScoresOfThePixelsAndPrompts() throws Exception {
    List<RewardQuery> queries = queries(5);
    try (Reward reward = open()) {
      assertThat(reward.score(queries)).isEqualTo(Asked.scores(queries));
    }
  }

  @Test
  void shouldSendWhatFlowFactorySends() throws Exception {
    try (Reward reward = open()) {
      reward.score(queries(2));
    }
    JsonNode request = server.requests.getFirst();
    assertThat(request.fieldNames())
        .toIterable()
        .containsExactly(
            "prompt",
            "image",
            "video",
            "condition_images",
            "condition_videos",
            "seed",
            "run_id",
            "iteration");
    assertThat(request.get("prompt").get(1).textValue()).isEqualTo("ein Käse №1");
    assertThat(request.get("video").isNull()).isTrue();
    assertThat(request.get("seed").get(1).longValue()).isEqualTo(1);
    assertThat(request.get("run_id").textValue()).isEqualTo("run-1");
    assertThat(request.get("iteration").intValue()).isEqualTo(3);
  }

  @Test
  void shouldLetNaNThrough() throws Exception {
    answers(200, "{\"rewards\": [NaN, -Infinity]}");
    try (Reward reward = open()) {
      assertThat(reward.score(queries(2)))
          .containsExactly(new Score(Double.NaN), new Score(Double.NEGATIVE_INFINITY));
    }
  }

  @Test
  void shouldLeaveTheCountToTheAsker() throws Exception {
    answers(200, "{\"rewards\": [1, 2, 3]}");
    try (Reward reward = open()) {
      assertThat(reward.score(queries(2))).hasSize(3);
    }
  }
}
