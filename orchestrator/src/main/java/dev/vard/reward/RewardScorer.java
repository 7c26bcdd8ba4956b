package dev.vard.reward;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Scores images in parallel as they arrive. Images that wait or are being scored take at most a
 * fixed number of bytes: who brings more waits, and with it the worker that sends them.
 */
public final class RewardScorer implements AutoCloseable {
  /** Bounds the heap: pictures of 1024 × 1024 still keep 20 threads busy. */
  private static final int MOST_BYTES_IN_FLIGHT = 64 << 20;

  private final Reward reward;
  private final ExecutorService threads;
  private final Semaphore room = new Semaphore(MOST_BYTES_IN_FLIGHT, true);

  /**
   * @param threads images, or batches of images, scored at the same time
   */
  public RewardScorer(Reward reward, int threads) {
    this.reward = reward;
    this.threads =
        Executors.newFixedThreadPool(
            threads, Thread.ofPlatform().name("reward-", 0).daemon().factory());
  }

  /** Begins a round of so many queries. */
  public Round round(int queries) {
    return new Round(queries);
  }

  /** Waits for nothing: ends the threads after what they are at. */
  @Override
  public void close() {
    threads.shutdownNow();
  }

  /** The queries of one iteration or evaluation. Used by one thread. */
  public final class Round {
    private final double[] scores;
    private final List<RewardQuery> waiting = new ArrayList<>();
    private final AtomicReference<RewardException> failure = new AtomicReference<>();
    private final AtomicLong busyNanos = new AtomicLong();
    private final CountDownLatch unanswered;
    private int next;

    private Round(int queries) {
      this.scores = new double[queries];
      this.unanswered = new CountDownLatch(queries);
    }

    /**
     * Takes the next query, in the order in which the scores are wanted. Blocks while too much is
     * in flight.
     *
     * @throws RewardException if a query of this round failed already: there is no use in sampling
     *     on
     */
    public void add(RewardQuery query) throws InterruptedException {
      throwFailure();
      if (!room.tryAcquire(cost(query))) {
        // What waits for its batch to fill holds room, and would hold it for ever.
        submit();
        room.acquire(cost(query));
      }
      waiting.add(query);
      if (waiting.size() == reward.batch() || next + waiting.size() == scores.length) {
        submit();
      }
    }

    /**
     * Waits for all scores.
     *
     * @return a finite score for each query, in their order
     * @throws RewardException if a query failed
     */
    public List<Double> await() throws InterruptedException {
      if (next + waiting.size() != scores.length) {
        throw new IllegalStateException(
            (next + waiting.size()) + " queries came of " + scores.length);
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
      List<RewardQuery> batch = List.copyOf(waiting);
      int first = next;
      waiting.clear();
      next += batch.size();
      threads.execute(
          () -> {
            try {
              if (failure.get() == null) {
                score(first, batch);
              }
            } catch (RewardException e) {
              failure.compareAndSet(null, e);
            } finally {
              room.release(batch.stream().mapToInt(this::cost).sum());
              batch.forEach(query -> unanswered.countDown());
            }
          });
    }

    private void score(int first, List<RewardQuery> batch) {
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
      for (int i = 0; i < batch.size(); i++) {
        scores[first + i] = finite(batch.get(i), outcomes.get(i));
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
      RewardException e = failure.get();
      if (e != null) {
        throw e;
      }
    }
  }
}
