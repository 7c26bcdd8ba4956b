package dev.vard.reward;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Scores images in parallel as they arrive. Images that wait or are being scored take at most a
 * fixed number of bytes: who brings more waits, and with it the worker that sends them.
 */
public final class RewardScorer implements AutoCloseable {
  /** Bounds the heap: pictures of 1024 × 1024 still keep 20 threads busy. */
  private static final int MOST_BYTES_IN_FLIGHT = 64 << 20;

  /** Whoever cancels a run waits for this. */
  private static final Duration FAREWELL = Duration.ofMillis(500);

  private final Reward reward;
  private final ExecutorService threads;
  private final Semaphore room = new Semaphore(MOST_BYTES_IN_FLIGHT, true);
  private volatile boolean closed;

  /**
   * @param threads images, or batches of images, scored at the same time
   */
  public RewardScorer(Reward reward, int threads) {
    this.reward = reward;
    this.threads =
        Executors.newFixedThreadPool(
            threads, Thread.ofPlatform().name("reward-", 0).daemon().factory());
  }

  /** Writes down what is asked, and each answer before it counts. Several threads call it. */
  public interface Ledger {
    /** A ledger that keeps nothing. */
    Ledger NONE =
        new Ledger() {
          @Override
          public void asked(int index) {}

          @Override
          public void answered(int index, double score) {}
        };

    /**
     * A query is about to be asked.
     *
     * @param index in the round
     */
    void asked(int index);

    void answered(int index, double score);
  }

  /**
   * Begins a round.
   *
   * @param queries how many there will be
   * @param known scores of queries that were answered before, by index: these are not asked again
   */
  public Round round(int queries, Map<Integer, Double> known, Ledger ledger) {
    return new Round(queries, known, ledger);
  }

  /**
   * Asks nothing more. What is being asked gets a moment to be answered, for an answer that comes
   * is kept, and one that is not awaited has to be asked again.
   */
  @Override
  public void close() {
    closed = true;
    threads.shutdown();
    boolean interrupted = Thread.interrupted();
    try {
      threads.awaitTermination(FAREWELL.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      interrupted = true;
    }
    threads.shutdownNow();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** The queries of one iteration or evaluation. Used by one thread. */
  public final class Round {
    private final double[] scores;
    private final Map<Integer, Double> known;
    private final Ledger ledger;
    private final List<Asked> waiting = new ArrayList<>();
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private final AtomicLong busyNanos = new AtomicLong();
    private final CountDownLatch unanswered;
    private int next;

    private Round(int queries, Map<Integer, Double> known, Ledger ledger) {
      this.scores = new double[queries];
      this.known = known;
      this.ledger = ledger;
      this.unanswered = new CountDownLatch(queries);
    }

    private record Asked(int index, RewardQuery query) {}

    /**
     * Takes the next query, in the order in which the scores are wanted. Blocks while too much is
     * in flight.
     *
     * @throws RewardException if a query of this round failed already: there is no use in sampling
     *     on
     */
    public void add(RewardQuery query) throws InterruptedException {
      throwFailure();
      int index = next++;
      Double score = known.get(index);
      if (score != null) {
        scores[index] = score;
        unanswered.countDown();
      } else {
        if (!room.tryAcquire(cost(query))) {
          // What waits for its batch to fill holds room, and would hold it for ever.
          submit();
          room.acquire(cost(query));
        }
        waiting.add(new Asked(index, query));
      }
      if (waiting.size() == reward.batch() || next == scores.length) {
        submit();
      }
    }

    /**
     * Waits for all scores.
     *
     * @return a finite score for each query, in their order
     * @throws RewardException if a query failed
     * @throws RuntimeException the ledger's, if it failed
     */
    public List<Double> await() throws InterruptedException {
      if (next != scores.length) {
        throw new IllegalStateException(next + " queries came of " + scores.length);
      }
      unanswered.await();
      throwFailure();
      return Arrays.stream(scores).boxed().toList();
    }

    /** Seconds that threads spent in the reward, summed over threads. */
    public double busySeconds() {
      return busyNanos.get() / 1e9;
    }

    private void submit() {
      if (waiting.isEmpty()) {
        return;
      }
      List<Asked> batch = List.copyOf(waiting);
      waiting.clear();
      threads.execute(
          () -> {
            try {
              if (failure.get() == null && !closed) {
                score(batch);
              }
            } catch (Throwable e) { // an Error too must not leave a score of 0 behind
              failure.compareAndSet(null, e);
            } finally {
              room.release(batch.stream().mapToInt(asked -> cost(asked.query())).sum());
              batch.forEach(asked -> unanswered.countDown());
            }
          });
    }

    private void score(List<Asked> asked) {
      List<RewardQuery> batch = asked.stream().map(Asked::query).toList();
      asked.forEach(one -> ledger.asked(one.index()));
      long start = System.nanoTime();
      List<RewardOutcome> outcomes = ask(batch);
      busyNanos.addAndGet(System.nanoTime() - start);
      if (outcomes.size() != batch.size()) {
        throw new RewardException(
            reward.name(),
            batch.getFirst(),
            "WRONG_COUNT",
            "answered " + batch.size() + " queries with " + outcomes.size() + " outcomes",
            false,
            null);
      }
      // All good answers are written down before a bad one ends the round: they were paid for.
      Optional<RewardException> bad = Optional.empty();
      for (int i = 0; i < batch.size(); i++) {
        try {
          double score = finite(batch.get(i), outcomes.get(i));
          ledger.answered(asked.get(i).index(), score);
          scores[asked.get(i).index()] = score;
        } catch (RewardException e) {
          bad = bad.or(() -> Optional.of(e));
        }
      }
      if (bad.isPresent()) {
        throw bad.get();
      }
    }

    private List<RewardOutcome> ask(List<RewardQuery> batch) {
      try {
        return reward.score(batch);
      } catch (Throwable e) { // an Error too must stop the run, not only this thread
        throw new RewardException(reward.name(), batch.getFirst(), "THREW", "threw " + e, false, e);
      }
    }

    private double finite(RewardQuery query, RewardOutcome outcome) {
      return switch (outcome) {
        case RewardOutcome.Score(double value) when Double.isFinite(value) -> value;
        case RewardOutcome.Score(double value) ->
            throw new RewardException(
                reward.name(),
                query,
                "NOT_FINITE",
                "gave " + value + ", not a finite number",
                false,
                null);
        case RewardOutcome.Failure failed ->
            throw new RewardException(
                reward.name(), query, failed.code(), failed.message(), failed.retryable(), null);
      };
    }

    /** Never more than there is, or an image larger than the bound would wait for ever. */
    private int cost(RewardQuery query) {
      return Math.min(query.image().size(), MOST_BYTES_IN_FLIGHT);
    }

    private void throwFailure() {
      switch (failure.get()) {
        case null -> {}
        case RuntimeException e -> throw e;
        case Error e -> throw e;
        case Throwable e -> throw new IllegalStateException("nothing else is thrown", e);
      }
    }
  }
}
