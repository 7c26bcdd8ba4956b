package dev.vard.api;

import dev.vard.run.RunEvent;
import dev.vard.run.RunJson;
import dev.vard.run.RunStatus;
import dev.vard.serve.Caller;
import dev.vard.serve.RequestException;
import dev.vard.serve.Runs;
import dev.vard.store.StoredEvent;
import dev.vard.store.StoredRun;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/** A run of {@link InMemoryRuns}, with its events and files. */
final class InMemoryRun {
  private static final RunJson JSON = new RunJson();

  private final Runs.Creation creation;
  private final List<StoredEvent> events = new ArrayList<>();
  private final Map<String, byte[]> files = new LinkedHashMap<>();
  private StoredRun run;

  /**
   * @param number of all that were made
   */
  InMemoryRun(int number, String owner, Runs.Creation creation) {
    this.creation = creation;
    this.run =
        new StoredRun(
            "run-" + number,
            "run",
            owner,
            creation.requestId(),
            creation.specification(),
            RunStatus.WAITING,
            "",
            "",
            Optional.empty(),
            creation.priority(),
            number,
            0,
            "",
            false,
            0,
            14,
            0,
            OptionalDouble.empty(),
            OptionalDouble.empty(),
            OptionalDouble.empty(),
            "",
            0,
            Instant.now(),
            Optional.empty(),
            Optional.empty());
    tell(new RunEvent.StateChanged(Optional.empty(), RunStatus.WAITING, "", ""));
  }

  String id() {
    return run.id();
  }

  RunStatus status() {
    return run.status();
  }

  /** The later it was made, the higher. */
  long turn() {
    return run.turn();
  }

  boolean visibleTo(Caller caller) {
    return caller.admin() || run.owner().equals(caller.owner());
  }

  /** Whether it was made by a request of this caller with this id. */
  boolean madeBy(Caller caller, String requestId) {
    return run.owner().equals(caller.owner()) && run.requestId().equals(requestId);
  }

  Runs.Creation creation() {
    return creation;
  }

  List<StoredEvent> events() {
    return events;
  }

  Map<String, byte[]> files() {
    return files;
  }

  void tell(RunEvent event) {
    long sequence = events.size() + 1L;
    events.add(new StoredEvent(run.id(), sequence, Instant.now(), JSON.write(event)));
    run = with(run.status(), sequence);
  }

  void move(RunStatus to) {
    RunStatus from = run.status();
    if (!from.next().contains(to)) {
      throw illegal("is " + from);
    }
    run = with(to, run.lastSequence());
    tell(new RunEvent.StateChanged(Optional.of(from), to, "", ""));
  }

  RequestException illegal(String why) {
    return new RequestException(
        RequestException.Code.FAILED_PRECONDITION, "", "run %s %s".formatted(run.id(), why));
  }

  Runs.RunView view() {
    return new Runs.RunView(run, 0);
  }

  Runs.ArtifactView artifact(String path) {
    return new Runs.ArtifactView(
        path,
        files.get(path).length,
        path.endsWith(".png") ? "image/png" : "application/octet-stream",
        run.createdAt());
  }

  /** Its pictures, all of them or those of one iteration. */
  List<Runs.SampleView> samples(OptionalInt iteration) {
    List<Runs.SampleView> samples = new ArrayList<>();
    for (String path : files.keySet()) {
      if (path.startsWith("samples/") && path.endsWith(".png")) {
        String[] parts = path.split("[/.]");
        int of = Integer.parseInt(parts[1]);
        if (iteration.isEmpty() || iteration.getAsInt() == of) {
          int index = Integer.parseInt(parts[2]);
          samples.add(new Runs.SampleView(path, of, index, "a fox", 7L + index, -1.5 * index));
        }
      }
    }
    return samples;
  }

  private StoredRun with(RunStatus status, long lastSequence) {
    return new StoredRun(
        run.id(),
        run.name(),
        run.owner(),
        run.requestId(),
        run.specification(),
        status,
        run.reasonCode(),
        run.reason(),
        run.retryAt(),
        run.priority(),
        run.turn(),
        run.generation(),
        run.orchestrator(),
        run.cancelRequested(),
        run.iteration(),
        run.iterations(),
        run.rewardQueries(),
        run.rewardBefore(),
        run.rewardNow(),
        run.klPerTrajectory(),
        run.exportSha256(),
        lastSequence,
        run.createdAt(),
        run.startedAt(),
        run.endedAt());
  }
}
