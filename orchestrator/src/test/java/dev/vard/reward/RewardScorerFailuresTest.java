package dev.vard.reward;

import static dev.vard.reward.Scorings.answers;
import static dev.vard.reward.Scorings.failing;
import static dev.vard.reward.Scorings.queries;
import static dev.vard.reward.Scorings.query;
import static dev.vard.reward.Scorings.rewards;
import static dev.vard.reward.Scorings.round;
import static dev.vard.reward.Scorings.scores;
import static dev.vard.reward.Scorings.spec;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.reward.Scorings.Batches;
import dev.vard.reward.Scorings.Told;
import dev.vard.spec.RewardSpec.OnFailure;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Queries that fail: what is told of them, and how many may be dropped. */
@Timeout(60)
class RewardScorerFailuresTest {
  @Test
  void shouldRefuseNaN() {
    assertFailure(
        new Batches(1, 2, q -> List.of(new RewardOutcome.Score(Double.NaN))),
        "NOT_FINITE",
        "reward test: gave NaN, not a finite number; prompt 'a cat', seed 5 (NOT_FINITE)");
  }

  @Test
  void shouldRefuseInfinities() {
    assertFailure(
        new Batches(1, 2, q -> List.of(new RewardOutcome.Score(Double.NEGATIVE_INFINITY))),
        "NOT_FINITE",
        "reward test: gave -Infinity, not a finite number; prompt 'a cat', seed 5 (NOT_FINITE)");
  }

  @Test
  void shouldRefuseTheWrongNumberOfOutcomes() {
    assertFailure(
        new Batches(1, 2, q -> List.of()),
        "WRONG_COUNT",
        "reward test: answered 1 queries with 0 outcomes; prompt 'a cat', seed 5 (WRONG_COUNT)");
  }

  @Test
  void shouldTellTheRewardsOwnFailure() {
    assertFailure(
        new Batches(
            1, 2, q -> List.of(new RewardOutcome.Failure("QUOTA", "ask again tomorrow", true))),
        "QUOTA",
        "reward test: ask again tomorrow; prompt 'a cat', seed 5 (QUOTA)");
  }

  @Test
  void shouldTellWhatARewardThrew() {
    IllegalStateException cause = new IllegalStateException("no model");

    assertFailure(
        new Batches(
            1,
            2,
            q -> {
              throw cause;
            }),
        "THREW",
        "reward test: threw java.lang.IllegalStateException: no model; prompt 'a cat', seed 5"
            + " (THREW)");
  }

  @Test
  void shouldNotLoseAnErrorInAThread() {
    assertFailure(
        new Batches(
            1,
            2,
            q -> {
              throw new NoClassDefFoundError("gone");
            }),
        "THREW",
        "reward test: threw java.lang.NoClassDefFoundError: gone; prompt 'a cat', seed 5 (THREW)");
  }

  private static void assertFailure(Reward reward, String code, String message) {
    assertThatThrownBy(() -> scores(reward, List.of(query(5))))
        .isInstanceOfSatisfying(RewardException.class, e -> assertThat(e.code()).isEqualTo(code))
        .hasMessage(message);
  }

  @Test
  void shouldTakeNoMoreQueriesOnceOneFailed() {
    try (Rewards rewards = Rewards.of(new Batches(1, 1, q -> List.of()));
        RewardScorer scorer = new RewardScorer(rewards)) {
      RewardRound round = round(scorer, 1_000_000);

      assertThatThrownBy(
              () -> {
                while (true) {
                  round.add(query(1));
                }
              })
          .isInstanceOf(RewardException.class);
    }
  }

  @Test
  void shouldDropAFewThatFailed() throws Exception {
    try (Rewards rewards = rewards(spec(OnFailure.DROP, 0.2, false), failing(3, 7));
        RewardScorer scorer = new RewardScorer(rewards)) {
      Told told = new Told();
      RewardRound round = scorer.round(10, List.of(Map.of()), told);

      List<Answer> answers = answers(round, queries(10));

      assertThat(answers.get(3)).isEqualTo(new Answer.Dropped("TOO_DARK"));
      assertThat(answers.get(7)).isEqualTo(new Answer.Dropped("TOO_DARK"));
      assertThat(answers.get(8)).isEqualTo(new Answer.Scored(8));
      assertThat(round.metrics().dropped()).isEqualTo(2);
      assertThat(told.answers).hasSize(10).containsEntry("0/3", new Answer.Dropped("TOO_DARK"));
    }
  }

  @Test
  void shouldDropNoneWhereTooManyFailed() {
    Told told = new Told();
    try (Rewards rewards = rewards(spec(OnFailure.DROP, 0.1, false), failing(3, 7));
        RewardScorer scorer = new RewardScorer(rewards)) {
      RewardRound round = scorer.round(10, List.of(Map.of()), told);

      assertThatThrownBy(() -> answers(round, queries(10)))
          .isInstanceOf(RewardException.class)
          .hasMessage(
              "reward supplied: 2 of 10 queries failed for good, and at most 1 may be dropped; one"
                  + " of them: show a light (TOO_DARK)");
      // They may be asked again: what is written down is the scores.
      assertThat(told.answers.values()).hasSize(8).hasOnlyElementsOfType(Answer.Scored.class);
    }
  }
}
