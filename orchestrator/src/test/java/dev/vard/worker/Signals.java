package dev.vard.worker;

import java.io.IOException;

/** Signals that Java does not send. */
final class Signals {
  private Signals() {}

  /** The process stops where it is, all its threads; it is as if its machine had. */
  static void stop(long pid) throws IOException, InterruptedException {
    // The shell's own kill: the program is not on every machine.
    Process kill = new ProcessBuilder("sh", "-c", "kill -STOP " + pid).inheritIO().start();
    if (kill.waitFor() != 0) {
      throw new IOException("process " + pid + " could not be stopped");
    }
  }
}
