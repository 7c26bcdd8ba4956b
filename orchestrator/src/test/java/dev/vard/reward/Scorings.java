package dev.vard.reward;

import dev.vard.spec.RewardSource;
import dev.vard.spec.RewardSpec;
import dev.vard.spec.RewardSpec.OnFailure;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Function;

/** Rewards that scorers ask in tests, what they are asked, and how a round is asked for. */
final class Scorings {
  private Scorings() {}

  static final Image SMALL = Image.of(1, 1, new byte[3]);

  static RewardQuery query(int seed) {
    return new RewardQuery(SMALL, "a cat", seed, "run", 1);
  }

  /** A reward of whole batches. */
  record Batches(
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

  static Rewards rewards(RewardSpec spec, Reward... rewards) {
    Iterator<Reward> each = List.of(rewards).iterator();
    return Rewards.open(spec, part -> each.next());
  }

  /** A reward that is asked without retries. */
  static RewardSpec spec(OnFailure onFailure, double mostDropped, boolean cache) {
    RewardSpec plain = RewardSpec.of(new RewardSource.Supplied());
    return new RewardSpec(plain.parts(), onFailure, mostDropped, cache);
  }

  static RewardRound round(RewardScorer scorer, int queries) {
    return scorer.round(queries, List.of(Map.of()), RewardScorer.Ledger.NONE);
  }

  static List<Answer> answers(RewardRound round, List<RewardQuery> queries)
      throws InterruptedException {
    for (RewardQuery query : queries) {
      round.add(query);
    }
    return round.await().getFirst();
  }

  static List<Double> scores(Reward reward, List<RewardQuery> queries) throws InterruptedException {
    try (Rewards rewards = Rewards.of(reward);
        RewardScorer scorer = new RewardScorer(rewards)) {
      return answers(round(scorer, queries.size()), queries).stream()
          .map(answer -> ((Answer.Scored) answer).score())
          .toList();
    }
  }

  static List<RewardQuery> queries(int count) {
    List<RewardQuery> queries = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      queries.add(query(i));
    }
    return queries;
  }

  static List<RewardOutcome> seeds(List<RewardQuery> queries) {
    return queries.stream().<RewardOutcome>map(q -> new RewardOutcome.Score(q.seed())).toList();
  }

  /** Fails for the seeds that are named. */
  static Reward failing(Integer... seeds) {
    List<Integer> bad = List.of(seeds);
    return new Batches(
        1,
        2,
        queries ->
            bad.contains((int) queries.getFirst().seed())
                ? List.of(new RewardOutcome.Failure("TOO_DARK", "show a light", false))
                : seeds(queries));
  }

  /** A ledger that remembers. */
  static final class Told implements RewardScorer.Ledger {
    final List<String> asked = new CopyOnWriteArrayList<>();
    final Map<String, Answer> answers = new ConcurrentHashMap<>();
    final Map<String, Double> digests = new ConcurrentHashMap<>();

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
