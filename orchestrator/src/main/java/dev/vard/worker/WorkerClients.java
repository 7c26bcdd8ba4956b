package dev.vard.worker;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

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
   * @param security for {@link WorkerLocation.Remote} workers
   * @param pids folder that names a local worker's process for as long as it lives, for {@link
   *     OrphanedWorkers}
   * @throws WorkerException UNAVAILABLE, if there is no worker to be had, with the reason
   */
  public static WorkerClient open(
      WorkerLocation location, Path log, WorkerSecurity security, Optional<Path> pids) {
    return switch (location) {
      case WorkerLocation.Local local ->
          new GrpcWorkerClient(
              LocalWorkerProcess.start(
                  WorkerEnvironment.find(), local.threads(), log, START_PATIENCE, pids));
      case WorkerLocation.Embedded embedded ->
          new JepWorkerClient(WorkerEnvironment.find(), embedded.threads());
      case WorkerLocation.Remote remote -> new GrpcWorkerClient(remote, security);
    };
  }

  /** Opens a client without security, of a worker that leaves no pid file. */
  public static WorkerClient open(WorkerLocation location, Path log) {
    return open(location, log, WorkerSecurity.NONE, Optional.empty());
  }

  /** Likewise; a local worker's log goes to a temporary file, which its errors name. */
  public static WorkerClient open(WorkerLocation location) {
    return open(
        location,
        Path.of(System.getProperty("java.io.tmpdir"))
            .resolve("vard-worker-" + ProcessHandle.current().pid() + ".log"));
  }
}
