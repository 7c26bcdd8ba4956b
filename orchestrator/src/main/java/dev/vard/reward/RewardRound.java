package dev.vard.reward;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.stream.IntStream;

/** The queries of one iteration or evaluation. Used by one thread. */
public final class RewardRound {
  private final RewardScorer scorer;
  private final Rewards rewards;
  private final int queries;
  private final List<Lane> lanes = new ArrayList<>();
  private final AtomicReferenceArray<RewardQuery> unanswered;
  private final AtomicReference<Throwable> failure = new AtomicReference<>();
  private final CountDownLatch open;
  private final Stopwatch underWay = new Stopwatch();
  private int next;
  private long waited;

  RewardRound(
      RewardScorer scorer,
      int queries,
      List<Map<Integer, Answer>> known,
      RewardScorer.Ledger ledger) {
    this.scorer = scorer;
    this.rewards = scorer.rewards();
    this.queries = queries;
    this.unanswered = new AtomicReferenceArray<>(queries);
    List<Desk> desks = scorer.desks();
    for (int part = 0; part < desks.size(); part++) {
      lanes.add(new Lane(this, rewards, ledger, part, desks.get(part), queries, known.get(part)));
    }
    this.open = new CountDownLatch(queries * desks.size());
  }

  /**
   * Takes the next query, in the order in which the scores are wanted. Blocks while too much is in
   * flight.
   *
   * @throws RewardException if a query of this round failed for good already: there is no use in
   *     sampling on
   */
  public void add(RewardQuery query) throws InterruptedException {
    throwFailure();
    int index = next++;
    List<Lane> asked = lanes.stream().filter(lane -> !lane.settleKnown(index)).toList();
    if (!asked.isEmpty()) {
      if (!scorer.takeRoom(query)) {
        // What waits for its batch to fill holds room, and would hold it for ever.
        lanes.forEach(Lane::submit);
        long start = System.nanoTime();
        scorer.awaitRoom(query);
        waited += System.nanoTime() - start;
      }
      unanswered.set(index, query);
      underWay.begin();
      String digest = rewards.cache() ? digest(query) : "";
      Lane.Asked one =
          new Lane.Asked(index, query, digest, new AtomicInteger(asked.size()), System.nanoTime());
      asked.forEach(lane -> lane.take(one));
    }
    if (next == queries) {
      lanes.forEach(Lane::submit);
    }
  }

  /**
   * Takes the next query from the answers that are known.
   *
   * @return whether all of its answers are; if not, it is still to come
   */
  public boolean addKnown() {
    int index = next;
    if (!lanes.stream().allMatch(lane -> lane.knows(index))) {
      return false;
    }
    next++;
    lanes.forEach(lane -> lane.settleKnown(index));
    if (next == queries) {
      lanes.forEach(Lane::submit);
    }
    return true;
  }

  /** Queries that have no answer of all parts yet, by index. */
  public Map<Integer, RewardQuery> unanswered() {
    Map<Integer, RewardQuery> left = new TreeMap<>();
    for (int i = 0; i < queries; i++) {
      RewardQuery query = unanswered.get(i);
      if (query != null) {
        left.put(i, query);
      }
    }
    return left;
  }

  /**
   * Waits for all answers, but not for long.
   *
   * @return how many queries have none yet
   */
  public int await(Duration atMost) throws InterruptedException {
    long start = System.nanoTime();
    boolean all = open.await(atMost.toNanos(), TimeUnit.NANOSECONDS);
    waited += System.nanoTime() - start;
    return all ? 0 : (int) Math.ceilDiv(open.getCount(), lanes.size());
  }

  /**
   * Waits for all answers.
   *
   * @return for each part of the reward, an answer for each query, in their order
   * @throws RewardException if a query failed for good, and is not to be dropped
   * @throws RuntimeException the ledger's, if it failed
   */
  public List<List<Answer>> await() throws InterruptedException {
    if (next != queries) {
      throw new IllegalStateException(next + " queries came of " + queries);
    }
    long start = System.nanoTime();
    open.await();
    waited += System.nanoTime() - start;
    throwFailure();
    drop();
    return lanes.stream().map(Lane::answers).toList();
  }

  /** Of a round that was awaited. */
  public RewardMetrics metrics() {
    int dropped =
        (int)
            IntStream.range(0, queries)
                .filter(i -> lanes.stream().anyMatch(lane -> lane.dropped(i)))
                .count();
    double busy = lanes.stream().flatMapToLong(Lane::latencies).sum() / 1e9;
    return RewardMetrics.of(
        lanes.stream().map(Lane::metrics).toList(),
        dropped,
        busy,
        underWay.seconds(),
        waited / 1e9);
  }

  /** Only now is it known whether so few failed that the others will do. */
  private void drop() {
    List<Integer> failed =
        IntStream.range(0, queries)
            .filter(i -> lanes.stream().anyMatch(lane -> lane.failures().containsKey(i)))
            .boxed()
            .toList();
    if (failed.size() > rewards.mostDropped(queries)) {
      Lane lane = lanes.stream().filter(one -> !one.failures().isEmpty()).findFirst().orElseThrow();
      Lane.Failed first = lane.failures().values().iterator().next();
      throw RewardException.of(
          lane.name(),
          "%d of %d queries failed for good, and at most %d may be dropped; one of them: %s"
              .formatted(
                  failed.size(), queries, rewards.mostDropped(queries), first.failure().message()),
          first.failure());
    }
    lanes.forEach(Lane::dropFailed);
  }

  private void throwFailure() {
    switch (failure.get()) {
      case null -> {}
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      case Throwable e -> throw new IllegalStateException("nothing else is thrown", e);
    }
  }

  boolean closed() {
    return scorer.closed();
  }

  /** Whether there is no use in asking on. */
  boolean failed() {
    return failure.get() != null;
  }

  /** The first that failed is what {@link #await} throws. */
  void fail(Throwable e) {
    failure.compareAndSet(null, e);
  }

  /** A part's answer was known before. */
  void answered() {
    open.countDown();
  }

  /** A part has answered a query, or never will. */
  void settled(Lane.Asked asked) {
    if (asked.open().decrementAndGet() == 0) {
      scorer.giveRoom(asked.query());
      underWay.end();
      if (lanes.stream().allMatch(lane -> lane.answered(asked.index()))) {
        unanswered.set(asked.index(), null);
      }
    }
    open.countDown();
  }

  /** The time in which at least one of several things was under way. */
  private static final class Stopwatch {
    private int running;
    private long since;
    private long nanos;

    synchronized void begin() {
      if (running++ == 0) {
        since = System.nanoTime();
      }
    }

    synchronized void end() {
      if (--running == 0) {
        nanos += System.nanoTime() - since;
      }
    }

    synchronized double seconds() {
      return nanos / 1e9;
    }
  }

  private static String digest(RewardQuery query) {
    try {
      MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
      sha256.update(query.prompt().getBytes(StandardCharsets.UTF_8));
      sha256.update((byte) 0);
      sha256.update(
          (query.image().height() + "x" + query.image().width()).getBytes(StandardCharsets.UTF_8));
      sha256.update(query.image().toBytes());
      return HexFormat.of().formatHex(sha256.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
