package dev.vard.store;

import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicReference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tries again while the database is gone, for as long as it takes: what a run has to write down may
 * have cost money, and is nowhere else.
 */
@Singleton
final class Patience {
  private static final Logger LOG = LoggerFactory.getLogger(Patience.class);
  private static final Duration FIRST = Duration.ofMillis(100);
  private static final Duration LONGEST = Duration.ofSeconds(5);

  /** When the outage began; null while the database is well. */
  private final AtomicReference<Long> since = new AtomicReference<>();

  /** A transaction that can be tried again. */
  interface Attempt<T> {
    /**
     * @param again whether it was tried before: that attempt may have been committed, though its
     *     answer was lost with the connection
     */
    T run(boolean again);
  }

  /**
   * An interrupted thread gets one more attempt, in which it was not disturbed: an interrupt asks
   * to wait no longer, not to lose what is to be written.
   *
   * @throws StoreException UNAVAILABLE, if the thread was interrupted and the database is gone; the
   *     thread is interrupted again then
   */
  <T> T until(Attempt<T> attempt) {
    boolean interrupted = false;
    boolean again = false;
    Duration wait = FIRST;
    try {
      while (true) {
        // Connection pool and drivers take an interrupt for a failure of their own.
        interrupted |= Thread.interrupted();
        try {
          T result = attempt.run(again);
          well();
          return result;
        } catch (StoreException e) {
          if (e.kind() != StoreException.Kind.UNAVAILABLE) {
            throw e;
          }
          again = true;
          if (Thread.interrupted()) {
            // It may be the interrupt that made it fail, and not the database.
            interrupted = true;
            continue;
          }
          gone(e);
          if (interrupted) {
            throw e;
          }
        }
        try {
          Thread.sleep(wait);
        } catch (InterruptedException e) {
          interrupted = true;
        }
        wait = wait.multipliedBy(2).compareTo(LONGEST) < 0 ? wait.multipliedBy(2) : LONGEST;
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void gone(StoreException e) {
    if (since.compareAndSet(null, System.nanoTime())) {
      LOG.warn("Runs wait: {}", e.getMessage());
    }
  }

  private void well() {
    Long start = since.get();
    if (start != null && since.compareAndSet(start, null)) {
      LOG.warn(
          "The database answers again, after {} s; runs go on.",
          Duration.ofNanos(System.nanoTime() - start).toSeconds());
    }
  }
}
