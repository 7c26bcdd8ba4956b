package dev.vard.reward;

import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.spec.RewardSpec.OnFailure;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

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

  /** Where one part of the reward is asked. */
  private static final class Desk {
    private final String name;
    private final Asker asker;
    private final ExecutorService threads;
    private final AtomicInteger inFlight = new AtomicInteger();

    /** What identical queries came to, or will. */
    private final Map<String, CompletableFuture<RewardOutcome>> cache = new ConcurrentHashMap<>();

    Desk(Rewards.Part part) {
      name = part.name();
      asker = new Asker(part);
      threads =
          Executors.newFixedThreadPool(
              asker.concurrency(),
              Thread.ofPlatform().name("reward-" + name + "-", 0).daemon().factory());
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
  public Round round(int queries, List<Map<Integer, Answer>> known, Ledger ledger) {
    return new Round(queries, known, ledger);
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

  /** The queries of one iteration or evaluation. Used by one thread. */
  public final class Round {
    private final int queries;
    private final Ledger ledger;
    private final List<Lane> lanes = new ArrayList<>();
    private final AtomicReferenceArray<RewardQuery> unanswered;
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private final CountDownLatch open;
    private final Stopwatch underWay = new Stopwatch();
    private int next;
    private long waited;

    private Round(int queries, List<Map<Integer, Answer>> known, Ledger ledger) {
      this.queries = queries;
      this.ledger = ledger;
      this.unanswered = new AtomicReferenceArray<>(queries);
      for (int part = 0; part < desks.size(); part++) {
        lanes.add(new Lane(part, known.get(part)));
      }
      this.open = new CountDownLatch(queries * desks.size());
    }

    /**
     * Takes the next query, in the order in which the scores are wanted. Blocks while too much is
     * in flight.
     *
     * @throws RewardException if a query of this round failed for good already: there is no use in
     *     sampling on
     */
    public void add(RewardQuery query) throws InterruptedException {
      throwFailure();
      int index = next++;
      List<Lane> asked = lanes.stream().filter(lane -> !lane.settleKnown(index)).toList();
      if (!asked.isEmpty()) {
        if (!room.tryAcquire(cost(query))) {
          // What waits for its batch to fill holds room, and would hold it for ever.
          lanes.forEach(Lane::submit);
          long start = System.nanoTime();
          room.acquire(cost(query));
          waited += System.nanoTime() - start;
        }
        unanswered.set(index, query);
        underWay.begin();
        String digest = rewards.cache() ? digest(query) : "";
        Asked one =
            new Asked(index, query, digest, new AtomicInteger(asked.size()), System.nanoTime());
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
      if (!lanes.stream().allMatch(lane -> lane.known.containsKey(index))) {
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
      double busy = lanes.stream().flatMapToLong(lane -> Lane.nanos(lane.latencies)).sum() / 1e9;
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
              .filter(i -> lanes.stream().anyMatch(lane -> lane.failures.containsKey(i)))
              .boxed()
              .toList();
      if (failed.size() > rewards.mostDropped(queries)) {
        Lane lane = lanes.stream().filter(one -> !one.failures.isEmpty()).findFirst().orElseThrow();
        Failed first = lane.failures.values().iterator().next();
        throw RewardException.of(
            lane.desk.name,
            "%d of %d queries failed for good, and at most %d may be dropped; one of them: %s"
                .formatted(
                    failed.size(), queries, rewards.mostDropped(queries), first.failure.message()),
            first.failure);
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

    /** Never more than there is, or an image larger than the bound would wait for ever. */
    private static int cost(RewardQuery query) {
      return Math.min(query.image().size(), MOST_BYTES_IN_FLIGHT);
    }

    /**
     * A query on its way.
     *
     * @param digest of image and prompt; empty unless identical ones are asked once
     * @param open parts that have not answered it
     * @param arrival by {@link System#nanoTime}
     */
    private record Asked(
        int index, RewardQuery query, String digest, AtomicInteger open, long arrival) {}

    private record Failed(RewardQuery query, Failure failure) {}

    /** What one part of the reward is asked in this round. */
    private final class Lane implements Asker.Meter {
      private final int part;
      private final Desk desk;
      private final Map<Integer, Answer> known;
      private final AtomicReferenceArray<Answer> answers = new AtomicReferenceArray<>(queries);
      private final Map<Integer, Failed> failures = new ConcurrentHashMap<>();
      private final List<Asked> waiting = new ArrayList<>();
      private final List<Long> latencies = new ArrayList<>();
      private final List<Long> queued = new ArrayList<>();
      private final AtomicInteger retried = new AtomicInteger();
      private final AtomicInteger cached = new AtomicInteger();
      private final AtomicInteger inFlight = new AtomicInteger();

      Lane(int part, Map<Integer, Answer> known) {
        this.part = part;
        this.desk = desks.get(part);
        this.known = known;
      }

      boolean settleKnown(int index) {
        Answer answer = known.get(index);
        if (answer == null) {
          return false;
        }
        answers.set(index, answer);
        open.countDown();
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
                if (closed) {
                  throw new CancellationException("nothing is asked any more");
                }
                if (failure.get() == null) {
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
        List<RewardOutcome> outcomes =
            desk.asker.ask(batch.stream().map(Asked::query).toList(), this);
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
              failure.compareAndSet(null, RewardException.of(desk.name, asked.query(), failed));
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
          failure.compareAndSet(null, e);
        } finally {
          for (Asked asked : batch) {
            if (asked.open().decrementAndGet() == 0) {
              room.release(cost(asked.query()));
              underWay.end();
              if (lanes.stream().allMatch(lane -> lane.answers.get(asked.index()) != null)) {
                unanswered.set(asked.index(), null);
              }
            }
            open.countDown();
          }
        }
      }

      private void dropFailed() {
        new TreeMap<>(failures)
            .forEach(
                (index, failed) -> {
                  Answer answer = new Answer.Dropped(failed.failure.code());
                  ledger.answered(part, index, answer, "");
                  answers.set(index, answer);
                });
      }

      private boolean dropped(int index) {
        return answers.get(index) instanceof Answer.Dropped;
      }

      private List<Answer> answers() {
        return IntStream.range(0, queries).mapToObj(answers::get).toList();
      }

      private RewardMetrics.Part metrics() {
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

      static LongStream nanos(List<Long> list) {
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
        return failure.get() == null && !closed;
      }
    }
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
