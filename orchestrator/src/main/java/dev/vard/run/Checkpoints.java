package dev.vard.run;

import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.SaveResponse;
import dev.vard.proto.v1.SessionDescription;
import dev.vard.worker.WorkerClient;
import dev.vard.worker.WorkerException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/** Saves a run's session to its folder, and makes sessions of what was saved. */
final class Checkpoints {
  private final WorkerClient worker;
  private final Requests requests;
  private final RunFolder folder;
  private final RunJournal journal;
  private final int keep;

  Checkpoints(
      WorkerClient worker, Requests requests, RunFolder folder, RunJournal journal, int keep) {
    this.worker = worker;
    this.requests = requests;
    this.folder = folder;
    this.journal = journal;
    this.keep = keep;
  }

  /**
   * A session made of a checkpoint.
   *
   * @param damaged the newer checkpoints that could not be used, each with the reason
   */
  record Restored(Optional<Checkpoint> from, SessionDescription session, List<String> damaged) {}

  /**
   * Writes a checkpoint, and forgets those that are too old. The session must be that of the state.
   */
  RunEvent.Checkpointed save(RunState state, Duration deadline) {
    int iteration = state.algorithm().progress().iterationsDone();
    // The generation keeps two orchestrators apart, of which one does not know yet that it lost the
    // run.
    String name =
        "checkpoints/%04d-%06d-g%d".formatted(iteration, state.step(), journal.generation());
    // Of an attempt that died after the worker had written it and before the journal knew.
    folder.remove(name);
    SaveResponse saved = worker.save(requests.save(folder.file(name)), deadline);
    RunEvent.Checkpointed event =
        new RunEvent.Checkpointed(iteration, saved.getBytes(), saved.getSeconds());
    journal.checkpointed(new Checkpoint(state, name, saved.getBytes()), event);
    List<Checkpoint> all = journal.checkpoints();
    for (Checkpoint old : all.subList(Math.min(keep, all.size()), all.size())) {
      forget(old);
    }
    return event;
  }

  /** Makes a session of the newest checkpoint that is whole, or, if there is none, a new one. */
  Restored restore() {
    sweep();
    List<String> damaged = new ArrayList<>();
    for (Checkpoint checkpoint : journal.checkpoints()) {
      try {
        SessionDescription session =
            worker
                .restore(requests.restore(folder.file(checkpoint.folder())), Deadlines.OPEN)
                .getSession();
        return new Restored(Optional.of(checkpoint), session, damaged);
      } catch (WorkerException e) {
        if (e.code() != ErrorCode.CORRUPT_CHECKPOINT
            && e.code() != ErrorCode.CHECKPOINT_NOT_FOUND) {
          throw e;
        }
        damaged.add(e.getMessage());
        journal.forget(checkpoint);
        folder.setAside(checkpoint.folder());
      }
    }
    return new Restored(
        Optional.empty(), worker.open(requests.open(), Deadlines.OPEN).getSession(), damaged);
  }

  /** The database first: a folder without a row is swept, a row without a folder is an error. */
  private void forget(Checkpoint checkpoint) {
    journal.forget(checkpoint);
    folder.remove(checkpoint.folder());
  }

  /** Removes what a kill left between a folder and its row in the database. */
  private void sweep() {
    folder.keepOnly(
        "checkpoints",
        journal.checkpoints().stream()
            .map(checkpoint -> checkpoint.folder().substring("checkpoints/".length()))
            .collect(Collectors.toSet()));
  }
}
