package dev.vard.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import sun.misc.Signal;
import sun.misc.SignalHandler;

/**
 * While open, SIGINT and SIGTERM interrupt a thread instead of ending the process, so that a run can save what it has.
 * A second signal ends the process at once.
 *
 * <p>A shutdown hook would not do: all hooks run at the same time, and others end the worker that the run still needs.
 */
final class Cancellation implements AutoCloseable {
  private final Thread thread;
  private final Map<Signal, SignalHandler> before = new LinkedHashMap<>();

  private Cancellation(Thread thread) {
    this.thread = thread;
  }

  static Cancellation ofThisThread() {
    Cancellation cancellation = new Cancellation(Thread.currentThread());
    for (String name : new String[] {"INT", "TERM"}) {
      Signal signal = new Signal(name);
      cancellation.before.put(signal, Signal.handle(signal, cancellation::received));
    }
    return cancellation;
  }

  private void received(Signal signal) {
    System.err.println("vard: stopping; once more to stop at once");
    close();
    thread.interrupt();
  }

  /** Signals mean again what they meant before. */
  @Override
  public void close() {
    before.forEach(Signal::handle);
  }
}
