package dev.vard.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.spec.AskingSpec;
import dev.vard.spec.RewardSource;
import dev.vard.spec.RewardSpec;
import dev.vard.spec.RewardSpec.Normalise;
import dev.vard.spec.RewardSpec.OnFailure;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.stream.Stream;
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
  private record Batches(
      int batch, int concurrency, Function<List<RewardQuery>, List<RewardOutcome>> answer)
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

  private static Rewards rewards(RewardSpec spec, Reward... rewards) {
    Iterator<Reward> each = List.of(rewards).iterator();
    return Rewards.open(spec, part -> each.next());
  }

  /** A reward that is asked without retries. */
  private static RewardSpec spec(OnFailure onFailure, double mostDropped, boolean cache) {
    RewardSpec plain = RewardSpec.of(new RewardSource.Supplied());
    return new RewardSpec(plain.parts(), cache, onFailure, mostDropped);
  }

  private static RewardRound round(RewardScorer scorer, int queries) {
    return scorer.round(queries, List.of(Map.of()), RewardScorer.Ledger.NONE);
  }

  private static List<Answer> answers(RewardRound round, List<RewardQuery> queries)
      throws InterruptedException {
    for (RewardQuery query : queries) {
      round.add(query);
    }
    return round.await().getFirst();
  }

  private static List<Double> scores(Reward reward, List<RewardQuery> queries)
      throws InterruptedException {
    try (Rewards rewards = Rewards.of(reward);
        RewardScorer scorer = new RewardScorer(rewards)) {
      return answers(round(scorer, queries.size()), queries).stream()
          .map(answer -> ((Answer.Scored) answer).score())
          .toList();
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
    List<Double> scores = scores(new Batches(1, 4, RewardScorerTest::seeds), queries(500));

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

    assertThat(scores(new Batches(8, 2, RewardScorerTest::seeds), large)).hasSize(10).isSorted();
  }

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
  void shouldNotGiveScoresOfHalfARound() throws Exception {
    try (Rewards rewards = Rewards.of(new Batches(1, 1, RewardScorerTest::seeds));
        RewardScorer scorer = new RewardScorer(rewards)) {
      RewardRound round = round(scorer, 2);
      round.add(query(1));

      assertThatThrownBy(round::await)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("1 queries came of 2");
    }
  }

  /** Fails for the seeds that are named. */
  private static Reward failing(Integer... seeds) {
    List<Integer> bad = List.of(seeds);
    return new Batches(
        1,
        2,
        queries ->
            bad.contains((int) queries.getFirst().seed())
                ? List.of(new RewardOutcome.Failure("TOO_DARK", "show a light", false))
                : seeds(queries));
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

  @Test
  void shouldAskAllPartsOfASum() throws Exception {
    AskingSpec asking = AskingSpec.of(new RewardSource.Supplied());
    RewardSpec spec =
        new RewardSpec(
            List.of(
                new RewardSpec.Part("one", 1, Normalise.NONE, new RewardSource.Supplied(), asking),
                new RewardSpec.Part("two", 1, Normalise.NONE, new RewardSource.Supplied(), asking)),
            false,
            OnFailure.PAUSE,
            0.1);
    Reward negative = Reward.of("two", (image, prompt) -> -1);
    Told told = new Told();
    try (Rewards rewards = rewards(spec, new Batches(3, 2, RewardScorerTest::seeds), negative);
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

  /** A ledger that remembers. */
  private static final class Told implements RewardScorer.Ledger {
    private final List<String> asked = new CopyOnWriteArrayList<>();
    private final Map<String, Answer> answers = new ConcurrentHashMap<>();
    private final Map<String, Double> digests = new ConcurrentHashMap<>();

    @Override
    public void asked(int part, int index) {
      asked.add(part + "/" + index);
    }

    @Override
    public void answered(int part, int index, Answer answer, String digest) {
      answers.put(part + "/" + index, answer);
      if (answer instanceof Answer.Scored(double score)) {
        digests.put(digest, score);
      }
    }

    @Override
    public Optional<Double> known(int part, String digest) {
      return Optional.ofNullable(digests.get(digest));
    }
  }
}
