package dev.vard.reward;

import static dev.vard.reward.Scorings.queries;
import static dev.vard.reward.Scorings.query;
import static dev.vard.reward.Scorings.rewards;
import static dev.vard.reward.Scorings.round;
import static dev.vard.reward.Scorings.scores;
import static dev.vard.reward.Scorings.seeds;
import static dev.vard.reward.Scorings.spec;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.reward.Scorings.Batches;
import dev.vard.reward.Scorings.Told;
import dev.vard.spec.AskingSpec;
import dev.vard.spec.RewardSource;
import dev.vard.spec.RewardSpec;
import dev.vard.spec.RewardSpec.Normalise;
import dev.vard.spec.RewardSpec.OnFailure;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class RewardScorerTest {
  /** 17 MB: three are in flight at most. */
  private static final Image LARGE = Image.of(2400, 2400, new byte[2400 * 2400 * 3]);

  @Test
  void shouldGiveScoresInTheOrderOfTheirQueries() throws Exception {
    List<Double> scores = scores(new Batches(1, 4, Scorings::seeds), queries(500));

    assertThat(scores).hasSize(500).isSorted().startsWith(0.0).endsWith(499.0);
  }

  @Test
  void shouldCallWithBatchesAndTheRestAtTheEnd() throws Exception {
    List<Integer> sizes = new ArrayList<>();
    Reward reward =
        new Batches(
            4,
            1,
            queries -> {
              sizes.add(queries.size());
              return seeds(queries);
            });

    assertThat(scores(reward, queries(10))).hasSize(10).isSorted();
    assertThat(sizes).containsExactly(4, 4, 2);
  }

  @Test
  void shouldScoreInParallelAndBoundWhatIsInFlight() throws Exception {
    CyclicBarrier three = new CyclicBarrier(3);
    AtomicInteger inFlight = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    Reward reward =
        new Batches(
            1,
            8,
            queries -> {
              most.accumulateAndGet(inFlight.incrementAndGet(), Math::max);
              try {
                three.await(); // goes on when three are here at the same time
              } catch (Exception e) {
                throw new IllegalStateException(e);
              } finally {
                inFlight.decrementAndGet();
              }
              return seeds(queries);
            });
    List<RewardQuery> large =
        queries(30).stream().map(q -> new RewardQuery(LARGE, "", q.seed(), "run", 1)).toList();

    assertThat(scores(reward, large)).hasSize(30);
    assertThat(most).hasValue(3);
  }

  @Test
  void shouldSendASmallerBatchRatherThanWaitForRoomForEver() throws Exception {
    List<RewardQuery> large =
        queries(10).stream().map(q -> new RewardQuery(LARGE, "", q.seed(), "run", 1)).toList();

    assertThat(scores(new Batches(8, 2, Scorings::seeds), large)).hasSize(10).isSorted();
  }

  @Test
  void shouldNotGiveScoresOfHalfARound() throws Exception {
    try (Rewards rewards = Rewards.of(new Batches(1, 1, Scorings::seeds));
        RewardScorer scorer = new RewardScorer(rewards)) {
      RewardRound round = round(scorer, 2);
      round.add(query(1));

      assertThatThrownBy(round::await)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("1 queries came of 2");
    }
  }

  @Test
  void shouldAskAllPartsOfASum() throws Exception {
    AskingSpec asking = AskingSpec.of(new RewardSource.Supplied());
    RewardSpec spec =
        new RewardSpec(
            List.of(
                new RewardSpec.Part("one", 1, Normalise.NONE, new RewardSource.Supplied(), asking),
                new RewardSpec.Part("two", 1, Normalise.NONE, new RewardSource.Supplied(), asking)),
            OnFailure.PAUSE,
            0.1,
            false);
    Reward negative = Reward.of("two", (image, prompt) -> -1);
    Told told = new Told();
    try (Rewards rewards = rewards(spec, new Batches(3, 2, Scorings::seeds), negative);
        RewardScorer scorer = new RewardScorer(rewards)) {
      Map<Integer, Answer> known = Map.of(1, new Answer.Scored(42));
      RewardRound round = scorer.round(3, List.of(Map.of(), known), told);
      for (RewardQuery query : queries(3)) {
        round.add(query);
      }

      assertThat(round.await())
          .containsExactly(
              List.of(new Answer.Scored(0), new Answer.Scored(1), new Answer.Scored(2)),
              List.of(new Answer.Scored(-1), new Answer.Scored(42), new Answer.Scored(-1)));
      assertThat(told.asked).containsExactlyInAnyOrder("0/0", "0/1", "0/2", "1/0", "1/2");
      assertThat(round.unanswered()).isEmpty();
      assertThat(round.metrics().parts())
          .extracting(RewardMetrics.Part::asked)
          .containsExactly(3, 2);
      assertThat(round.metrics().parts())
          .extracting(RewardMetrics.Part::calls)
          .containsExactly(1, 2);
    }
  }

  @Test
  void shouldKnowWhatIsUnanswered() throws Exception {
    CountDownLatch release = new CountDownLatch(1);
    Reward reward =
        new Batches(
            1,
            1,
            queries -> {
              try {
                release.await();
              } catch (InterruptedException e) {
                throw new IllegalStateException(e);
              }
              return seeds(queries);
            });
    try (Rewards rewards = Rewards.of(reward);
        RewardScorer scorer = new RewardScorer(rewards)) {
      Map<Integer, Answer> known = Map.of(0, new Answer.Scored(42));
      RewardRound round = scorer.round(3, List.of(known), RewardScorer.Ledger.NONE);
      round.addKnown();
      round.add(query(1));
      round.add(query(2));

      assertThat(round.unanswered()).containsOnlyKeys(1, 2);
      release.countDown();
      assertThat(round.await().getFirst())
          .containsExactly(new Answer.Scored(42), new Answer.Scored(1), new Answer.Scored(2));
      assertThat(round.unanswered()).isEmpty();
    }
  }
}
