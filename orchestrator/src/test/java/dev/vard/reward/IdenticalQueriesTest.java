package dev.vard.reward;

import static dev.vard.reward.Scorings.SMALL;
import static dev.vard.reward.Scorings.answers;
import static dev.vard.reward.Scorings.failing;
import static dev.vard.reward.Scorings.queries;
import static dev.vard.reward.Scorings.query;
import static dev.vard.reward.Scorings.rewards;
import static dev.vard.reward.Scorings.round;
import static dev.vard.reward.Scorings.spec;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.reward.Scorings.Batches;
import dev.vard.reward.Scorings.Told;
import dev.vard.spec.RewardSpec.OnFailure;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The cache: a query is asked once, in a round and in a run. */
@Timeout(60)
class IdenticalQueriesTest {
  @Test
  void shouldAskIdenticalQueriesOnce() throws Exception {
    AtomicInteger calls = new AtomicInteger();
    Reward reward =
        new Batches(
            2,
            2,
            queries -> {
              calls.addAndGet(queries.size());
              return queries.stream()
                  .<RewardOutcome>map(q -> new RewardOutcome.Score(q.prompt().length()))
                  .toList();
            });
    Told told = new Told();
    try (Rewards rewards = rewards(spec(OnFailure.PAUSE, 0.1, true), reward);
        RewardScorer scorer = new RewardScorer(rewards)) {
      List<RewardQuery> queries =
          Stream.of("a", "bb", "a", "a", "ccc", "bb")
              .map(prompt -> new RewardQuery(SMALL, prompt, 1, "run", 1))
              .toList();

      RewardRound round = scorer.round(6, List.of(Map.of()), told);
      assertThat(answers(round, queries))
          .extracting(answer -> ((Answer.Scored) answer).score())
          .containsExactly(1.0, 2.0, 1.0, 1.0, 3.0, 2.0);
      assertThat(round.metrics().parts().getFirst().cached()).isEqualTo(3);
      assertThat(calls).hasValue(3);
    }
    // Another life of the run finds them in its ledger.
    try (Rewards rewards = rewards(spec(OnFailure.PAUSE, 0.1, true), reward);
        RewardScorer scorer = new RewardScorer(rewards)) {
      RewardQuery again = new RewardQuery(SMALL, "bb", 9, "run", 2);
      assertThat(answers(scorer.round(1, List.of(Map.of()), told), List.of(again)))
          .containsExactly(new Answer.Scored(2));
      assertThat(calls).hasValue(3);
    }
  }

  @Test
  void shouldNotLeaveIdenticalQueriesWaitingForOneThatFailed() {
    Reward reward = failing(1);
    try (Rewards rewards = rewards(spec(OnFailure.DROP, 0.5, true), reward);
        RewardScorer scorer = new RewardScorer(rewards)) {
      List<RewardQuery> queries = List.of(query(1), query(1), query(1));

      assertThatThrownBy(() -> answers(round(scorer, 3), queries))
          .isInstanceOf(RewardException.class)
          .hasMessageContaining("3 of 3 queries failed for good");
    }
  }
}
