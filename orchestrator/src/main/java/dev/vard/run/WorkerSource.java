package dev.vard.run;

import dev.vard.worker.WorkerClient;
import dev.vard.worker.WorkerException;

/** Where a run gets its worker from, and gets another one from if that one is lost. */
public interface WorkerSource {

  /**
   * The worker: the same one again while it is well, else a new one. Blocks while one starts.
   *
   * @throws WorkerException UNAVAILABLE, if there is none to be had
   */
  WorkerClient acquire();

  /** The worker is not to be used any more: its process is ended, its connection closed. */
  void discard();

  /** Where somebody finds what the worker wrote, in words that may be shown to anybody. */
  default String log() {
    return "the worker's log";
  }
}
