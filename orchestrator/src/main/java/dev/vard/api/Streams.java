package dev.vard.api;

import dev.vard.serve.RequestException;
import dev.vard.serve.RequestException.Code;
import dev.vard.serve.ServeSettings;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The streams that are open, watchers and downloads, of both APIs: counted, and ended together.
 * Thread-safe.
 */
public final class Streams implements AutoCloseable {
  private static final RequestException STOPS =
      new RequestException(Code.UNAVAILABLE, "", "the server stops: ask again from where you are");
  private static final RequestException REVOKED =
      new RequestException(
          Code.UNAUTHENTICATED,
          "",
          "what this stream was let in with is not valid any more: ask again with a valid token or"
              + " certificate");

  private final int max;
  private final int maxPerOwner;
  private final Duration patience;
  private final Map<String, Integer> byOwner = new HashMap<>();
  private final Map<StreamTask<?>, Place> running = new ConcurrentHashMap<>();
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
  Place enter(Admission admission) {
    String owner = admission.caller().owner();
    synchronized (byOwner) {
      int own = byOwner.getOrDefault(owner, 0);
      if (own >= maxPerOwner) {
        throw new RequestException(
            Code.RESOURCE_EXHAUSTED,
            "",
            "%s has %d watchers and downloads open, as many as one owner may: end some"
                .formatted(owner, own));
      }
      if (open >= max) {
        throw new RequestException(
            Code.RESOURCE_EXHAUSTED,
            "",
            "this server has %d watchers and downloads open, as many as it may: try again later"
                .formatted(open));
      }
      byOwner.put(owner, own + 1);
      open++;
    }
    return new Place(admission);
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
    private final Admission admission;
    private final AtomicBoolean left = new AtomicBoolean();

    /** Looks in a row that found it revoked. */
    private int revoked;

    private Place(Admission admission) {
      this.admission = admission;
    }

    /**
     * Once is not enough: for a moment an editor's file is not there, or not whole. Called by one
     * thread.
     */
    private boolean isRevoked() {
      revoked = admission.stands().getAsBoolean() ? 0 : revoked + 1;
      return revoked >= 2;
    }

    @Override
    public void close() {
      if (left.compareAndSet(false, true)) {
        leave(admission.caller().owner());
      }
    }
  }

  /** Begins to send, on a thread of its own. */
  <T> void start(StreamTask<T> task, Place place) {
    running.put(task, place);
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
      task.stop(STOPS);
    }
  }

  /** Ends the streams of those who would not be let in any more, at the second look. */
  void endRevoked() {
    running.forEach(
        (task, place) -> {
          if (place.isRevoked()) {
            task.stop(REVOKED);
          }
        });
  }

  /** Ends all: readers are told that the server stops, and come back elsewhere or later. */
  @Override
  public void close() {
    closed = true;
    running.keySet().forEach(task -> task.stop(STOPS));
  }
}
