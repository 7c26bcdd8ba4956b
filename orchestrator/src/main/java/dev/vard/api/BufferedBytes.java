package dev.vard.api;

import java.util.concurrent.atomic.AtomicLong;

/**
 * The bytes of requests that have begun to arrive and are not whole: so many together, of both
 * APIs. Thread-safe.
 */
final class BufferedBytes {
  private final long max;
  private final AtomicLong held = new AtomicLong();

  BufferedBytes(long max) {
    this.max = max;
  }

  long held() {
    return held.get();
  }

  String refusal() {
    return "this server holds as many bytes of unfinished requests as it may ("
        + max
        + "): try again in a few seconds";
  }

  /** One request's. Its methods are called by one thread at a time. */
  final class Share {
    private long bytes;

    /** Whether there is room for so many more; they are held in any case. */
    boolean add(long more) {
      bytes += more;
      return held.addAndGet(more) <= max;
    }

    void release() {
      held.addAndGet(-bytes);
      bytes = 0;
    }
  }
}
