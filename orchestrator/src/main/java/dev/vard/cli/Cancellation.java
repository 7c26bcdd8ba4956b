package dev.vard.cli;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;
import sun.misc.Signal;
import sun.misc.SignalHandler;

/**
 * While open, SIGINT and SIGTERM are a wish instead of the process's end, so that runs can save
 * what they have. Whoever does not want to wait for that sends another signal, which ends the
 * process at once.
 *
 * <p>A shutdown hook would not do: all hooks run at the same time, and others end the worker that
 * the run still needs.
 */
final class Cancellation implements AutoCloseable {
  /**
   * Some tools, timeout(1) among them, signal a process and then its group: that is one wish, not
   * two.
   */
  private static final Duration SAME_WISH = Duration.ofSeconds(1);

  private final Console console;
  private final String answer;
  private final Runnable wish;
  private final Map<Signal, SignalHandler> before = new LinkedHashMap<>();
  private OptionalLong firstNanos = OptionalLong.empty();

  private Cancellation(Console console, String answer, Runnable wish) {
    this.console = console;
    this.answer = answer;
    this.wish = wish;
  }

  /** The first signal interrupts this thread. */
  static Cancellation ofThisThread(Console console) {
    return of(console, "stopping, and saving what there is", Thread.currentThread()::interrupt);
  }

  /**
   * @param answer what is told when the first signal comes
   * @param wish what it does then, on a thread of its own
   */
  static Cancellation of(Console console, String answer, Runnable wish) {
    Cancellation cancellation = new Cancellation(console, answer, wish);
    for (String name : new String[] {"INT", "TERM"}) {
      Signal signal = new Signal(name);
      cancellation.before.put(
          signal, Signal.handle(signal, received -> cancellation.received(System.nanoTime())));
    }
    return cancellation;
  }

  /** Each signal has a thread of its own. */
  private synchronized void received(long nanos) {
    if (firstNanos.isEmpty()) {
      firstNanos = OptionalLong.of(nanos);
      console.err().println("vard: " + answer + "; once more to stop at once");
      wish.run();
    } else if (nanos - firstNanos.getAsLong() > SAME_WISH.toNanos()) {
      Runtime.getRuntime().halt(ExitCode.CANCELLED);
    }
  }

  /** Signals mean again what they meant before. */
  @Override
  public void close() {
    before.forEach(Signal::handle);
  }
}
