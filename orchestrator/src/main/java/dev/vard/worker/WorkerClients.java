package dev.vard.worker;

import java.nio.file.Path;
import java.time.Duration;

/** Opens clients. */
public final class WorkerClients {
  /** Python's imports alone can take half a minute on a machine that has not read them lately. */
  private static final Duration START_PATIENCE = Duration.ofMinutes(3);

  private WorkerClients() {}

  /**
   * Opens a client, and starts its worker where that is the client's to do.
   *
   * @param log takes what a {@link WorkerLocation.Local} worker writes; other workers log where
   *     they run
   * @throws WorkerException UNAVAILABLE, if there is no worker to be had, with the reason
   */
  public static WorkerClient open(WorkerLocation location, Path log) {
    return switch (location) {
      case WorkerLocation.Local local ->
          new GrpcWorkerClient(
              LocalWorkerProcess.start(
                  WorkerEnvironment.find(), local.threads(), log, START_PATIENCE));
      case WorkerLocation.Embedded embedded ->
          new JepWorkerClient(WorkerEnvironment.find(), embedded.threads());
      case WorkerLocation.Remote remote -> new GrpcWorkerClient(remote);
    };
  }

  /** Opens a client; a local worker's log goes to a temporary file, which its errors name. */
  public static WorkerClient open(WorkerLocation location) {
    return open(
        location,
        Path.of(System.getProperty("java.io.tmpdir"))
            .resolve("vard-worker-" + ProcessHandle.current().pid() + ".log"));
  }
}
