package dev.vard.serve;

import dev.vard.proto.v1.DescribeRequest;
import dev.vard.run.WorkerSource;
import dev.vard.worker.WorkerClient;
import dev.vard.worker.WorkerException;
import dev.vard.worker.WorkerLocation;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The workers of an orchestrator, each for one run at a time. A worker stays warm from one run to
 * the next: to import Python's libraries takes longer than a small iteration.
 */
final class WorkerPool implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(WorkerPool.class);

  /** How long a worker that does nothing else may take to say that it is there. */
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  /** Makes clients, and starts workers where that is theirs to do. */
  @FunctionalInterface
  interface Opener {
    /**
     * @param name of the worker in the pool, for its log's name
     * @throws WorkerException UNAVAILABLE, with the reason
     */
    WorkerClient open(WorkerLocation location, String name);
  }

  private final Opener opener;
  private final List<Slot> slots;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition freed = lock.newCondition();

  /**
   * @param workers each {@code local}, {@code embedded} or {@code host:port}
   * @throws IllegalArgumentException if one is none of them, or there are none, or two embedded
   *     ones: a process has one Python
   */
  WorkerPool(List<String> workers, Opener opener) {
    List<WorkerLocation> locations = workers.stream().map(WorkerLocation::parse).toList();
    if (locations.isEmpty()) {
      throw new IllegalArgumentException("the pool has no worker: name one, as local or host:port");
    }
    if (locations.stream().filter(WorkerLocation.Embedded.class::isInstance).count() > 1) {
      throw new IllegalArgumentException(
          "the pool has embedded twice, but a process has one Python: name it once, and local for"
              + " more");
    }
    Set<WorkerLocation> remotes = new HashSet<>();
    for (WorkerLocation location : locations) {
      if (location instanceof WorkerLocation.Remote remote && !remotes.add(remote)) {
        throw new IllegalArgumentException(
            "the pool has the worker at "
                + remote.host()
                + ":"
                + remote.port()
                + " twice, but a run has a worker to itself: name it once");
      }
    }
    this.opener = opener;
    this.slots =
        IntStream.range(0, locations.size())
            .mapToObj(i -> new Slot((i + 1) + "-" + workers.get(i), locations.get(i)))
            .toList();
  }

  int size() {
    return slots.size();
  }

  /**
   * A worker for a run, until the lease is closed. Waits while all are taken.
   *
   * @param threads CPU threads of a worker that this process starts
   */
  Lease lease(int threads) {
    lock.lock();
    try {
      Optional<Slot> free = best(threads);
      while (free.isEmpty()) {
        freed.awaitUninterruptibly();
        free = best(threads);
      }
      free.get().leased = true;
      return new Lease(free.get(), threads);
    } finally {
      lock.unlock();
    }
  }

  /** Under the lock. Well before troubled, warm before cold. */
  private Optional<Slot> best(int threads) {
    return slots.stream()
        .filter(slot -> !slot.leased)
        .min(
            Comparator.comparing((Slot slot) -> slot.trouble().isPresent())
                .thenComparing(slot -> !slot.isWarm(threads)));
  }

  /** A worker, as an operator sees it. */
  record Health(String name, boolean busy, Optional<String> trouble) {}

  /**
   * How the workers are. Those that do nothing are asked; of the others their run tells.
   *
   * @param patience for each, all at once
   */
  List<Health> health(Duration patience) {
    List<Thread> asking = new ArrayList<>();
    for (Slot slot : slots) {
      asking.add(Thread.startVirtualThread(() -> slot.check(patience)));
    }
    for (Thread one : asking) {
      try {
        one.join(patience.multipliedBy(2));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    lock.lock();
    try {
      return slots.stream()
          .map(slot -> new Health(slot.name, slot.leased, slot.trouble()))
          .toList();
    } finally {
      lock.unlock();
    }
  }

  /** Ends the workers that this process started. */
  @Override
  public void close() {
    slots.forEach(Slot::discard);
  }

  /** A worker that one run has to itself. */
  final class Lease implements WorkerSource, AutoCloseable {
    private final int threads;
    private Slot slot;

    private Lease(Slot slot, int threads) {
      this.slot = slot;
      this.threads = threads;
    }

    @Override
    public WorkerClient acquire() {
      if (slot.trouble().isPresent()) {
        exchange();
      }
      return slot.client(threads);
    }

    /** Rather a worker that is known to be well than one that was lost just now. */
    private void exchange() {
      lock.lock();
      try {
        best(threads)
            .filter(other -> other.trouble().isEmpty())
            .ifPresent(
                other -> {
                  slot.leased = false;
                  other.leased = true;
                  slot = other;
                  freed.signalAll();
                });
      } finally {
        lock.unlock();
      }
    }

    @Override
    public void discard() {
      slot.lost();
    }

    @Override
    public String log() {
      return "the log of worker " + slot.name + " of the server";
    }

    @Override
    public void close() {
      lock.lock();
      try {
        slot.leased = false;
        freed.signalAll();
      } finally {
        lock.unlock();
      }
    }
  }

  /** A place for a worker. */
  private final class Slot {
    private final String name;
    private final WorkerLocation location;

    /** Of the client: whoever opens or closes it, or asks whether it answers, holds this. */
    private final ReentrantLock using = new ReentrantLock();

    private volatile Optional<Warm> warm = Optional.empty();
    private volatile Optional<String> trouble = Optional.empty();

    /** Under the pool's lock. */
    private boolean leased;

    /**
     * A client that is open.
     *
     * @param location with the threads that it was opened with
     */
    private record Warm(WorkerClient client, WorkerLocation location) {}

    Slot(String name, WorkerLocation location) {
      this.name = name;
      this.location = location;
    }

    Optional<String> trouble() {
      return trouble;
    }

    boolean isWarm(int threads) {
      return warm.filter(open -> open.location().equals(located(threads))).isPresent();
    }

    private WorkerLocation located(int threads) {
      return switch (location) {
        case WorkerLocation.Local local -> new WorkerLocation.Local(threads);
        case WorkerLocation.Embedded embedded -> new WorkerLocation.Embedded(threads);
        case WorkerLocation.Remote remote -> remote;
      };
    }

    /** The worker, which has just answered. */
    WorkerClient client(int threads) {
      using.lock();
      try {
        if (warm.isPresent()) {
          if (isWarm(threads) && answers(PATIENCE)) {
            return warm.get().client();
          }
          closeClient();
        }
        open(located(threads));
        return warm.get().client();
      } finally {
        using.unlock();
      }
    }

    private void open(WorkerLocation where) {
      try {
        WorkerClient client = opener.open(where, name);
        warm = Optional.of(new Warm(client, where));
        client.describe(DescribeRequest.getDefaultInstance(), PATIENCE);
        well();
      } catch (WorkerException e) {
        closeClient();
        troubled(e);
        throw e;
      }
    }

    private boolean answers(Duration patience) {
      try {
        warm.get().client().describe(DescribeRequest.getDefaultInstance(), patience);
        well();
        return true;
      } catch (WorkerException e) {
        troubled(e);
        return false;
      }
    }

    /** Asks a worker that is free, and that is there or ought to be. */
    void check(Duration patience) {
      if (!using.tryLock()) {
        return;
      }
      try {
        lock.lock();
        try {
          if (leased) {
            return;
          }
        } finally {
          lock.unlock();
        }
        if (warm.isEmpty() && location instanceof WorkerLocation.Remote) {
          warm = Optional.of(new Warm(opener.open(location, name), location));
        }
        if (warm.isPresent()) {
          answers(patience);
        }
      } catch (WorkerException e) {
        troubled(e);
      } finally {
        using.unlock();
      }
    }

    private void well() {
      trouble.ifPresent(was -> LOG.info("Worker {} answers again", name));
      trouble = Optional.empty();
    }

    /** A request that was told to stop says nothing about the worker. */
    private void troubled(WorkerException e) {
      if (e.kind() != WorkerException.Kind.CANCELLED) {
        if (trouble.isEmpty()) {
          LOG.warn("Worker {}: {}", name, e.getMessage());
        }
        trouble = Optional.of(String.valueOf(e.getMessage()));
      }
    }

    void lost() {
      using.lock();
      try {
        closeClient();
        trouble = Optional.of("it was lost, or did not do what it was asked");
      } finally {
        using.unlock();
      }
    }

    void discard() {
      using.lock();
      try {
        closeClient();
      } finally {
        using.unlock();
      }
    }

    private void closeClient() {
      warm.ifPresent(open -> open.client().close());
      warm = Optional.empty();
    }
  }
}
