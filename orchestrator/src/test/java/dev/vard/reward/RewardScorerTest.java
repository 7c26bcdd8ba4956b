package dev.vard.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class RewardScorerTest {
  private static final Image SMALL = Image.of(1, 1, new byte[3]);

  /** 17 MB: three are in flight at most. */
  private static final Image LARGE = Image.of(2400, 2400, new byte[2400 * 2400 * 3]);

  private static RewardQuery query(int seed) {
    return new RewardQuery(SMALL, "a cat", seed, "run", 1);
  }

  /** A reward of whole batches. */
  private record Batches(int batch, Function<List<RewardQuery>, List<RewardOutcome>> answer)
      implements Reward {
    @Override
    public String name() {
      return "test";
    }

    @Override
    public List<RewardOutcome> score(List<RewardQuery> queries) {
      return answer.apply(queries);
    }
  }

  private static List<Double> scores(Reward reward, int threads, List<RewardQuery> queries)
      throws InterruptedException {
    try (RewardScorer scorer = new RewardScorer(reward, threads)) {
      RewardScorer.Round round = scorer.round(queries.size(), Map.of(), RewardScorer.Ledger.NONE);
      for (RewardQuery query : queries) {
        round.add(query);
      }
      return round.await();
    }
  }

  private static List<RewardQuery> queries(int count) {
    List<RewardQuery> queries = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      queries.add(query(i));
    }
    return queries;
  }

  private static List<RewardOutcome> seeds(List<RewardQuery> queries) {
    return queries.stream().<RewardOutcome>map(q -> new RewardOutcome.Score(q.seed())).toList();
  }

  @Test
  void shouldGiveScoresInTheOrderOfTheirQueries() throws Exception {
    List<Double> scores = scores(new Batches(1, RewardScorerTest::seeds), 4, queries(500));

    assertThat(scores).hasSize(500).isSorted().startsWith(0.0).endsWith(499.0);
  }

  @Test
  void shouldCallWithBatchesAndTheRestAtTheEnd() throws Exception {
    List<Integer> sizes = new ArrayList<>();
    Reward reward =
        new Batches(
            4,
            queries -> {
              sizes.add(queries.size());
              return seeds(queries);
            });

    assertThat(scores(reward, 1, queries(10))).hasSize(10).isSorted();
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

    assertThat(scores(reward, 8, large)).hasSize(30);
    assertThat(most).hasValue(3);
  }

  @Test
  void shouldSendASmallerBatchRatherThanWaitForRoomForEver() throws Exception {
    List<RewardQuery> large =
        queries(10).stream().map(q -> new RewardQuery(LARGE, "", q.seed(), "run", 1)).toList();

    assertThat(scores(new Batches(8, RewardScorerTest::seeds), 2, large)).hasSize(10).isSorted();
  }

  @Test
  void shouldMeasureTheTimeInTheReward() throws Exception {
    try (RewardScorer scorer = new RewardScorer(new Batches(1, RewardScorerTest::seeds), 2)) {
      RewardScorer.Round round = scorer.round(1, Map.of(), RewardScorer.Ledger.NONE);
      assertThat(round.busySeconds()).isZero();
      round.add(query(1));
      round.await();

      assertThat(round.busySeconds()).isPositive();
    }
  }

  @Test
  void shouldRefuseNaN() {
    assertFailure(
        new Batches(1, q -> List.of(new RewardOutcome.Score(Double.NaN))),
        "NOT_FINITE",
        "reward test: gave NaN, not a finite number (NOT_FINITE; prompt 'a cat', seed 5)");
  }

  @Test
  void shouldRefuseInfinities() {
    assertFailure(
        new Batches(1, q -> List.of(new RewardOutcome.Score(Double.NEGATIVE_INFINITY))),
        "NOT_FINITE",
        "reward test: gave -Infinity, not a finite number (NOT_FINITE; prompt 'a cat', seed 5)");
  }

  @Test
  void shouldRefuseTheWrongNumberOfOutcomes() {
    assertFailure(
        new Batches(1, q -> List.of()),
        "WRONG_COUNT",
        "reward test: answered 1 queries with 0 outcomes (WRONG_COUNT; prompt 'a cat', seed 5)");
  }

  @Test
  void shouldTellTheRewardsOwnFailure() {
    assertFailure(
        new Batches(
            1, q -> List.of(new RewardOutcome.Failure("QUOTA", "ask again tomorrow", true))),
        "QUOTA",
        "reward test: ask again tomorrow (QUOTA; prompt 'a cat', seed 5)");
  }

  @Test
  void shouldTellWhatARewardThrew() {
    IllegalStateException cause = new IllegalStateException("no model");

    assertFailure(
        new Batches(
            1,
            q -> {
              throw cause;
            }),
        "THREW",
        "reward test: threw java.lang.IllegalStateException: no model (THREW; prompt 'a cat', seed"
            + " 5)");
  }

  @Test
  void shouldNotLoseAnErrorInAThread() {
    assertFailure(
        new Batches(
            1,
            q -> {
              throw new NoClassDefFoundError("gone");
            }),
        "THREW",
        "reward test: threw java.lang.NoClassDefFoundError: gone (THREW; prompt 'a cat', seed 5)");
  }

  private static void assertFailure(Reward reward, String code, String message) {
    assertThatThrownBy(() -> scores(reward, 2, List.of(query(5))))
        .isInstanceOfSatisfying(RewardException.class, e -> assertThat(e.code()).isEqualTo(code))
        .hasMessage(message);
  }

  @Test
  void shouldTakeNoMoreQueriesOnceOneFailed() throws Exception {
    Reward reward = new Batches(1, q -> List.of());
    try (RewardScorer scorer = new RewardScorer(reward, 1)) {
      RewardScorer.Round round = scorer.round(1_000_000, Map.of(), RewardScorer.Ledger.NONE);

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
  void shouldNotGiveScoresOfHalfARound() throws Exception {
    try (RewardScorer scorer = new RewardScorer(new Batches(1, RewardScorerTest::seeds), 1)) {
      RewardScorer.Round round = scorer.round(2, Map.of(), RewardScorer.Ledger.NONE);
      round.add(query(1));

      assertThatThrownBy(round::await)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("1 queries came of 2");
    }
  }
}
