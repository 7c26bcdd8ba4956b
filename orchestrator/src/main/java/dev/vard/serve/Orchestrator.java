package dev.vard.serve;

import java.time.Duration;
import java.util.List;

/** The runs of this process, as whoever starts and stops the process sees them. */
public final class Orchestrator {
  private final Dispatcher dispatcher;
  private final Readiness readiness;

  Orchestrator(Dispatcher dispatcher, Readiness readiness) {
    this.dispatcher = dispatcher;
    this.readiness = readiness;
  }

  /** Begins to run what is in the queue; what an earlier life of this process had goes on. */
  public void start() {
    dispatcher.start();
  }

  /**
   * Why it cannot do its work; none where it can. May block for some seconds.
   *
   * @see ServeSettings
   */
  public List<String> problems() {
    return readiness.report().problems();
  }

  /**
   * Takes no more runs, has those in work write a checkpoint, and puts them back into the queue,
   * for the next process to go on with.
   *
   * @return whether all came to that within the time; the others go on from their last checkpoint
   */
  public boolean drain(Duration patience) throws InterruptedException {
    return dispatcher.drain(patience);
  }
}
