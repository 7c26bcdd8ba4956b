package dev.vard.serve;

import dev.vard.serve.RequestException.Code;
import java.time.Duration;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;

/**
 * Reads what others send on a few platform threads of its own, each text within a deadline: on the
 * virtual threads that answer everything else, a few large texts would hold all carriers.
 * Thread-safe.
 */
final class SpecificationReading implements AutoCloseable {
  private final Duration deadline;
  private final ThreadPoolExecutor threads;

  /**
   * @param count of texts that are read at the same time
   * @param waiting texts that may wait for that; more are refused
   * @param deadline for the waiting and the reading together
   */
  SpecificationReading(int count, int waiting, Duration deadline) {
    this.deadline = deadline;
    this.threads =
        new ThreadPoolExecutor(
            count,
            count,
            1,
            TimeUnit.MINUTES,
            new ArrayBlockingQueue<>(waiting),
            Thread.ofPlatform().name("specification-", 0).daemon().factory());
    threads.allowCoreThreadTimeOut(true);
  }

  /** Of a server: half the processors read, and a reader waits for some seconds at most. */
  static SpecificationReading ofServer() {
    return new SpecificationReading(
        Math.max(1, Runtime.getRuntime().availableProcessors() / 2), 64, Duration.ofSeconds(20));
  }

  /**
   * Blocks until it is read.
   *
   * @throws RequestException RESOURCE_EXHAUSTED where there is no room, or no time left; and
   *     whatever the reading throws
   */
  <T> T read(Supplier<T> reading) {
    Future<T> future;
    try {
      future = threads.submit(reading::get);
    } catch (RejectedExecutionException e) {
      throw new RequestException(
          Code.RESOURCE_EXHAUSTED,
          "",
          "this server reads as many specifications as it may: try again in a few seconds");
    }
    try {
      return future.get(deadline.toNanos(), TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      // TreeParser notices the interrupt.
      future.cancel(true);
      throw new RequestException(
          Code.DEADLINE_EXCEEDED,
          "specification",
          "the specification was not read within %d s: give a shorter one, or try again later"
              .formatted(deadline.toSeconds()));
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new IllegalStateException("a specification could not be read", e.getCause());
    } catch (InterruptedException | CancellationException e) {
      future.cancel(true);
      throw new RequestException(Code.UNAVAILABLE, "", "the server stops: ask again later", e);
    }
  }

  /** How many texts wait for their turn. */
  int waiting() {
    return threads.getQueue().size();
  }

  @Override
  public void close() {
    threads.shutdownNow();
  }
}
