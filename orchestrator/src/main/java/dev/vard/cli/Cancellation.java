package dev.vard.cli;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;
import sun.misc.Signal;
import sun.misc.SignalHandler;

/**
 * While open, SIGINT and SIGTERM interrupt a thread instead of ending the process, so that a run
 * can save what it has. Whoever does not want to wait for that sends another signal, which ends the
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

  private final Thread thread;
  private final Console console;
  private final Map<Signal, SignalHandler> before = new LinkedHashMap<>();
  private OptionalLong firstNanos = OptionalLong.empty();

  private Cancellation(Thread thread, Console console) {
    this.thread = thread;
    this.console = console;
  }

  static Cancellation ofThisThread(Console console) {
    Cancellation cancellation = new Cancellation(Thread.currentThread(), console);
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
      console.err().println("vard: stopping, and saving what there is; once more to stop at once");
      thread.interrupt();
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
