package dev.vard.api;

import dev.vard.serve.RequestException;
import dev.vard.serve.RequestException.Code;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends a stream as its reader takes it: one message is in hand, none waits behind it. A reader
 * that takes nothing for too long, while there is something to send, is dropped.
 *
 * <p>The reader's road calls {@link #roomChanged} and {@link #gone} from its own threads. They
 * never interrupt the sending one: an interrupt would close the database's file under it.
 */
final class StreamTask<T> {
  private static final Logger LOG = LoggerFactory.getLogger(StreamTask.class);

  private final Source<T> source;
  private final Outlet<T> outlet;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private boolean gone;
  private Optional<RequestException> stopped = Optional.empty();

  StreamTask(Source<T> source, Outlet<T> outlet) {
    this.source = source;
    this.outlet = outlet;
  }

  /** What is sent. */
  interface Source<T> extends AutoCloseable {
    /**
     * The next message.
     *
     * @return empty if there is none for now, or none any more: see {@link #ended}. Waits for a
     *     second at most
     */
    Optional<T> next() throws IOException, InterruptedException;

    boolean ended();

    /** Any thread may close it, more than once: a {@link #next} that waits returns. */
    @Override
    void close();
  }

  /** The reader's end. All but {@link #ready} is called by the sending thread alone. */
  interface Outlet<T> {
    /** Whether a message goes out at once. */
    boolean ready();

    void send(T message);

    void end();

    void fail(RequestException why);

    /** For a defect of ours, which was logged. */
    void fail();
  }

  /** Sends until all is sent or nobody reads. */
  void run(Duration patience) {
    try (source) {
      while (goesOn()) {
        Optional<T> message = source.next();
        if (message.isEmpty()) {
          if (source.ended() && goesOn()) {
            outlet.end();
            return;
          }
        } else if (awaitRoom(patience)) {
          outlet.send(message.get());
        }
      }
      leave();
    } catch (RequestException e) {
      outlet.fail(e);
    } catch (IOException | InterruptedException | RuntimeException e) {
      if (goesOn()) {
        LOG.error("A stream broke off", e);
        outlet.fail();
      } else {
        // The source was closed under the thread, and complains of it.
        leave();
      }
    }
  }

  private void leave() {
    lock.lock();
    Optional<RequestException> why;
    try {
      why = gone ? Optional.empty() : stopped;
    } finally {
      lock.unlock();
    }
    why.ifPresent(outlet::fail);
  }

  /** Whether there is room: false if nobody reads any more. */
  private boolean awaitRoom(Duration patience) throws InterruptedException {
    lock.lock();
    try {
      long nanos = patience.toNanos();
      while (!gone && stopped.isEmpty() && !outlet.ready()) {
        if (nanos <= 0) {
          throw new RequestException(
              Code.RESOURCE_EXHAUSTED,
              "",
              "nothing was read for %d s while there was something to send: read faster, or ask again from where you are"
                  .formatted(TimeUnit.SECONDS.convert(patience)));
        }
        nanos = changed.awaitNanos(nanos);
      }
      return !gone && stopped.isEmpty();
    } finally {
      lock.unlock();
    }
  }

  /** The reader may have room again. */
  void roomChanged() {
    lock.lock();
    try {
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** The reader has left: nothing more is sent. */
  void gone() {
    lock.lock();
    try {
      gone = true;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    source.close();
  }

  /** Ends it from this side: what it says first counts. */
  void stop(RequestException why) {
    lock.lock();
    try {
      stopped = stopped.or(() -> Optional.of(why));
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    source.close();
  }

  private boolean goesOn() {
    lock.lock();
    try {
      return !gone && stopped.isEmpty();
    } finally {
      lock.unlock();
    }
  }
}
