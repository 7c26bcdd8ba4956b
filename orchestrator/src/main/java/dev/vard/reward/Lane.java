package dev.vard.reward;

import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.spec.RewardSpec.OnFailure;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** What one part of the reward is asked in a round. */
final class Lane implements Asker.Meter {
  /**
   * A query on its way.
   *
   * @param digest of image and prompt; empty unless identical ones are asked once
   * @param open parts that have not answered it
   * @param arrival by {@link System#nanoTime}
   */
  record Asked(int index, RewardQuery query, String digest, AtomicInteger open, long arrival) {}

  /** A query that has no answer and gets none. */
  record Failed(RewardQuery query, Failure failure) {}

  private final RewardRound round;
  private final Rewards rewards;
  private final RewardScorer.Ledger ledger;
  private final int part;
  private final Desk desk;
  private final Map<Integer, Answer> known;
  private final AtomicReferenceArray<Answer> answers;
  private final Map<Integer, Failed> failures = new ConcurrentHashMap<>();
  private final List<Asked> waiting = new ArrayList<>();
  private final List<Long> latencies = new ArrayList<>();
  private final List<Long> queued = new ArrayList<>();
  private final AtomicInteger retried = new AtomicInteger();
  private final AtomicInteger cached = new AtomicInteger();
  private final AtomicInteger inFlight = new AtomicInteger();

  /**
   * @param known answers that were given before, by index
   */
  Lane(
      RewardRound round,
      Rewards rewards,
      RewardScorer.Ledger ledger,
      int part,
      Desk desk,
      int queries,
      Map<Integer, Answer> known) {
    this.round = round;
    this.rewards = rewards;
    this.ledger = ledger;
    this.part = part;
    this.desk = desk;
    this.known = known;
    this.answers = new AtomicReferenceArray<>(queries);
  }

  String name() {
    return desk.name;
  }

  boolean knows(int index) {
    return known.containsKey(index);
  }

  boolean answered(int index) {
    return answers.get(index) != null;
  }

  /** Queries that have no answer and get none, by index. */
  Map<Integer, Failed> failures() {
    return failures;
  }

  /** How long each call took. */
  LongStream latencies() {
    return nanos(latencies);
  }

  boolean settleKnown(int index) {
    Answer answer = known.get(index);
    if (answer == null) {
      return false;
    }
    answers.set(index, answer);
    round.answered();
    return true;
  }

  void take(Asked asked) {
    if (rewards.cache() && takeIdentical(asked)) {
      return;
    }
    waiting.add(asked);
    if (waiting.size() == desk.asker.batch()) {
      submit();
    }
  }

  void submit() {
    if (waiting.isEmpty()) {
      return;
    }
    List<Asked> batch = List.copyOf(waiting);
    waiting.clear();
    desk.threads.execute(() -> ask(batch));
  }

  /** Whether an identical query was asked before, or is under way. */
  private boolean takeIdentical(Asked asked) {
    String digest = asked.digest();
    CompletableFuture<RewardOutcome> own = new CompletableFuture<>();
    CompletableFuture<RewardOutcome> other = desk.cache.putIfAbsent(digest, own);
    if (other != null) {
      cached.incrementAndGet();
      other.thenAccept(outcome -> guarded(() -> settle(asked, outcome), List.of(asked)));
      return true;
    }
    Optional<Double> score = ledger.known(part, digest);
    if (score.isPresent()) {
      cached.incrementAndGet();
      own.complete(new RewardOutcome.Score(score.get()));
      guarded(() -> settle(asked, own.join()), List.of(asked));
      return true;
    }
    return false;
  }

  private void ask(List<Asked> batch) {
    guarded(
        () -> {
          try {
            if (round.closed()) {
              throw new CancellationException("nothing is asked any more");
            }
            if (!round.failed()) {
              score(batch);
            }
          } finally {
            release(batch);
          }
        },
        batch);
  }

  /** Who waits for an identical query's answer must not wait for ever. */
  private void release(List<Asked> batch) {
    if (!rewards.cache()) {
      return;
    }
    for (Asked asked : batch) {
      String digest = asked.digest();
      RewardOutcome outcome =
          answers.get(asked.index()) instanceof Answer.Scored(double score)
              ? new RewardOutcome.Score(score)
              : new Failure("IDENTICAL_FAILED", "an identical query has no score", false);
      CompletableFuture<RewardOutcome> waiting = Objects.requireNonNull(desk.cache.get(digest));
      if (outcome instanceof Failure) {
        desk.cache.remove(digest);
      }
      waiting.complete(outcome);
    }
  }

  private void score(List<Asked> batch) {
    long start = System.nanoTime();
    synchronized (queued) {
      batch.forEach(asked -> queued.add(start - asked.arrival()));
    }
    batch.forEach(asked -> ledger.asked(part, asked.index()));
    List<RewardOutcome> outcomes = desk.asker.ask(batch.stream().map(Asked::query).toList(), this);
    // All good answers are written down before a bad one ends the round: they were paid for.
    for (int i = 0; i < batch.size(); i++) {
      settle(batch.get(i), outcomes.get(i));
    }
  }

  private void settle(Asked asked, RewardOutcome outcome) {
    switch (outcome) {
      case RewardOutcome.Score(double score) -> {
        Answer answer = new Answer.Scored(score);
        ledger.answered(part, asked.index(), answer, asked.digest());
        answers.set(asked.index(), answer);
      }
      case Failure failed -> {
        ledger.failed(part, asked.index(), failed);
        if (rewards.onFailure() == OnFailure.PAUSE) {
          round.fail(RewardException.of(desk.name, asked.query(), failed));
        } else {
          failures.put(asked.index(), new Failed(asked.query(), failed));
        }
      }
    }
  }

  /** However it ends, the queries are no longer awaited. */
  private void guarded(Runnable work, List<Asked> batch) {
    try {
      work.run();
    } catch (Throwable e) { // an Error too must not leave a query without an answer
      round.fail(e);
    } finally {
      batch.forEach(round::settled);
    }
  }

  void dropFailed() {
    new TreeMap<>(failures)
        .forEach(
            (index, failed) -> {
              Answer answer = new Answer.Dropped(failed.failure.code());
              ledger.answered(part, index, answer, "");
              answers.set(index, answer);
            });
  }

  boolean dropped(int index) {
    return answers.get(index) instanceof Answer.Dropped;
  }

  List<Answer> answers() {
    return IntStream.range(0, answers.length()).mapToObj(answers::get).toList();
  }

  RewardMetrics.Part metrics() {
    double mean =
        answers().stream()
            .filter(Answer.Scored.class::isInstance)
            .mapToDouble(answer -> ((Answer.Scored) answer).score())
            .average()
            .orElse(Double.NaN);
    return new RewardMetrics.Part(
        desk.name,
        mean,
        queued.size(),
        latencies.size(),
        retried.get(),
        cached.get(),
        failures.size(),
        inFlight.get(),
        RewardMetrics.Percentiles.of(nanos(latencies).toArray()),
        RewardMetrics.Percentiles.of(nanos(queued).toArray()));
  }

  private static LongStream nanos(List<Long> list) {
    return list.stream().mapToLong(Long::longValue);
  }

  @Override
  public void called() {
    inFlight.accumulateAndGet(desk.inFlight.incrementAndGet(), Math::max);
  }

  @Override
  public void answered(long nanos) {
    desk.inFlight.decrementAndGet();
    synchronized (latencies) {
      latencies.add(nanos);
    }
  }

  @Override
  public void askedAgain(int queries) {
    retried.addAndGet(queries);
  }

  @Override
  public boolean goesOn() {
    return !round.failed() && !round.closed();
  }
}
