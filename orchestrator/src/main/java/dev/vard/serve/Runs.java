package dev.vard.serve;

import dev.vard.store.StoredEvent;
import dev.vard.store.StoredRun;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What others can ask of the orchestrator: the use cases behind gRPC and REST alike. Checks,
 * limits, ownership and the audit log are here; the APIs only translate. Every failure is a {@link
 * RequestException}. Thread-safe.
 */
public interface Runs {

  /**
   * @param specification YAML
   * @param overrides each as {@code algorithm.iterations=4}
   * @param requestId a UUID of the caller's; empty for none
   */
  record Creation(String specification, List<String> overrides, int priority, String requestId) {}

  /** A run, and how many waiting runs come before it. */
  record RunView(StoredRun run, int queuePosition) {}

  /**
   * @param nextToken empty on the last page
   */
  record Page<T>(List<T> items, String nextToken) {}

  /**
   * @param size 0 for the default
   * @param token empty for the first page
   */
  record PageRequest(int size, String token) {}

  RunView create(Caller caller, Creation creation);

  RunView get(Caller caller, String id);

  /**
   * @param filter as in ListRunsRequest
   */
  Page<RunView> list(Caller caller, PageRequest page, String filter);

  RunView cancel(Caller caller, String id);

  RunView resume(Caller caller, String id);

  void delete(Caller caller, String id);

  /**
   * Begins to watch a run; the caller closes it.
   *
   * @param afterSequence only events with a greater number; 0 for all
   */
  Watch watch(Caller caller, String id, long afterSequence);

  /** A watcher's place in a run's events. Holds no event: they are read as they are asked for. */
  interface Watch extends AutoCloseable {
    /**
     * Waits for the next event.
     *
     * @return empty if there is none within the time, or none any more: see {@link #ended}
     */
    Optional<StoredEvent> next(Duration patience) throws InterruptedException;

    /** The run has ended, and its last event was given. */
    boolean ended();

    /** Any thread may close it, more than once: a {@link #next} that waits returns without. */
    @Override
    void close();
  }

  /** An image of an evaluation. */
  record SampleView(
      String path, int iteration, int index, String prompt, long seed, double reward) {}

  /**
   * @param iteration only of the evaluation after so many iterations
   */
  Page<SampleView> samples(Caller caller, String id, OptionalInt iteration, PageRequest page);

  /**
   * A file of a run.
   *
   * @param path relative to the run's folder, with '/'
   */
  record ArtifactView(String path, long bytes, String contentType, Instant updatedAt) {}

  Page<ArtifactView> artifacts(Caller caller, String id, PageRequest page);

  /** The caller closes the stream. */
  record Content(ArtifactView artifact, InputStream bytes) implements AutoCloseable {
    @Override
    public void close() throws IOException {
      bytes.close();
    }
  }

  Content open(Caller caller, String id, String path);
}
