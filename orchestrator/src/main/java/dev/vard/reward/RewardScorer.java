package dev.vard.reward;

import dev.vard.reward.RewardOutcome.Failure;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * Has images scored as they arrive, by all parts of the reward at the same time. Images that wait
 * or are being scored take at most a fixed number of bytes: who brings more waits, and with it the
 * worker that sends them.
 */
public final class RewardScorer implements AutoCloseable {
  /** Bounds the heap: pictures of 1024 × 1024 still keep 20 threads busy. */
  private static final int MOST_BYTES_IN_FLIGHT = 64 << 20;

  /** Whoever cancels a run waits for this. */
  private static final Duration FAREWELL = Duration.ofMillis(500);

  private final Rewards rewards;
  private final List<Desk> desks = new ArrayList<>();
  private final Semaphore room = new Semaphore(MOST_BYTES_IN_FLIGHT, true);
  private volatile boolean closed;

  /**
   * @param rewards stay open when this is closed
   */
  public RewardScorer(Rewards rewards) {
    this.rewards = rewards;
    for (Rewards.Part part : rewards.parts()) {
      desks.add(new Desk(part));
    }
  }

  /** Writes down what is asked, and each answer before it counts. Several threads call it. */
  public interface Ledger {
    /** A ledger that keeps nothing. */
    Ledger NONE =
        new Ledger() {
          @Override
          public void asked(int part, int index) {}

          @Override
          public void answered(int part, int index, Answer answer, String digest) {}

          @Override
          public Optional<Double> known(int part, String digest) {
            return Optional.empty();
          }
        };

    /**
     * A query is about to be asked.
     *
     * @param part of the reward, from 0
     * @param index in the round
     */
    void asked(int part, int index);

    /**
     * @param digest of image and prompt; empty unless identical ones are asked once
     */
    void answered(int part, int index, Answer answer, String digest);

    /** The score that an identical query got before. */
    Optional<Double> known(int part, String digest);

    /** A query failed for good. What becomes of it is told later, if anything does. */
    default void failed(int part, int index, Failure failure) {}
  }

  /**
   * Begins a round.
   *
   * @param queries how many there will be
   * @param known for each part, answers that were given before, by index: these are not asked again
   */
  public RewardRound round(int queries, List<Map<Integer, Answer>> known, Ledger ledger) {
    return new RewardRound(this, queries, known, ledger);
  }

  /**
   * Asks nothing more. What is being asked gets a moment to be answered, for an answer that comes
   * is kept, and one that is not awaited has to be asked again.
   */
  @Override
  public void close() {
    closed = true;
    desks.forEach(desk -> desk.threads.shutdown());
    boolean interrupted = Thread.interrupted();
    long end = System.nanoTime() + FAREWELL.toNanos();
    try {
      for (Desk desk : desks) {
        desk.threads.awaitTermination(end - System.nanoTime(), TimeUnit.NANOSECONDS);
      }
    } catch (InterruptedException e) {
      interrupted = true;
    }
    desks.forEach(desk -> desk.threads.shutdownNow());
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  Rewards rewards() {
    return rewards;
  }

  List<Desk> desks() {
    return desks;
  }

  boolean closed() {
    return closed;
  }

  /** Whether there was room for the query's image; it is taken then. */
  boolean takeRoom(RewardQuery query) {
    return room.tryAcquire(cost(query));
  }

  void awaitRoom(RewardQuery query) throws InterruptedException {
    room.acquire(cost(query));
  }

  void giveRoom(RewardQuery query) {
    room.release(cost(query));
  }

  /** Never more than there is, or an image larger than the bound would wait for ever. */
  private static int cost(RewardQuery query) {
    return Math.min(query.image().size(), MOST_BYTES_IN_FLIGHT);
  }
}
