package dev.vard.api;

import dev.vard.serve.Caller;
import dev.vard.serve.RequestException;
import dev.vard.serve.RequestException.Code;
import dev.vard.serve.ServeSettings;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The streams that are open, watchers and downloads, of both APIs: counted, and ended together.
 * Thread-safe.
 */
public final class Streams implements AutoCloseable {
  private final int max;
  private final int maxPerOwner;
  private final Duration patience;
  private final Map<String, Integer> byOwner = new HashMap<>();
  private final Set<StreamTask<?>> running = ConcurrentHashMap.newKeySet();
  private int open;
  private volatile boolean closed;

  public Streams(ServeSettings settings) {
    this.max = settings.maxStreams();
    this.maxPerOwner = settings.maxStreamsPerOwner();
    this.patience = Duration.ofSeconds(settings.slowReaderSeconds());
  }

  /**
   * Takes a place, until it is given back.
   *
   * @throws RequestException RESOURCE_EXHAUSTED where all are taken
   */
  Place enter(Caller caller) {
    synchronized (byOwner) {
      int own = byOwner.getOrDefault(caller.owner(), 0);
      if (own >= maxPerOwner) {
        throw new RequestException(
            Code.RESOURCE_EXHAUSTED,
            "",
            "%s has %d watchers and downloads open, as many as one owner may: end some"
                .formatted(caller.owner(), own));
      }
      if (open >= max) {
        throw new RequestException(
            Code.RESOURCE_EXHAUSTED,
            "",
            "this server has %d watchers and downloads open, as many as it may: try again later"
                .formatted(open));
      }
      byOwner.put(caller.owner(), own + 1);
      open++;
    }
    return new Place(caller.owner());
  }

  private void leave(String owner) {
    synchronized (byOwner) {
      byOwner.computeIfPresent(owner, (name, own) -> own == 1 ? null : own - 1);
      open--;
    }
  }

  /** How many places are taken. */
  int open() {
    synchronized (byOwner) {
      return open;
    }
  }

  /** How many are being sent. */
  int sending() {
    return running.size();
  }

  /** A stream's place among those that may be open. */
  final class Place implements AutoCloseable {
    private final String owner;
    private final AtomicBoolean left = new AtomicBoolean();

    private Place(String owner) {
      this.owner = owner;
    }

    @Override
    public void close() {
      if (left.compareAndSet(false, true)) {
        leave(owner);
      }
    }
  }

  /** Begins to send, on a thread of its own. */
  <T> void start(StreamTask<T> task) {
    running.add(task);
    Thread.ofVirtual()
        .name("stream")
        .start(
            () -> {
              try {
                task.run(patience);
              } finally {
                running.remove(task);
              }
            });
    if (closed) {
      task.stop();
    }
  }

  /** Ends all: readers are told that the server stops, and come back elsewhere or later. */
  @Override
  public void close() {
    closed = true;
    running.forEach(StreamTask::stop);
  }
}
