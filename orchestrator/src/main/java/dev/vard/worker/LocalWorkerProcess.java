package dev.vard.worker;

import io.grpc.CallCredentials;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** A worker process on this machine: a {@link PythonProcess} that serves the worker's contract. */
final class LocalWorkerProcess implements AutoCloseable {
  private final PythonProcess process;

  private LocalWorkerProcess(PythonProcess process) {
    this.process = process;
  }

  /**
   * Starts a worker and waits until it serves.
   *
   * @param threads CPU threads
   * @param log takes what the worker writes; appended to
   * @param patience how long to wait
   * @param pids folder for its pid file
   * @throws WorkerException UNAVAILABLE, if it does not come to serve, with the end of its log
   */
  static LocalWorkerProcess start(
      WorkerEnvironment environment,
      int threads,
      Path log,
      Duration patience,
      Optional<Path> pids) {
    return start(
        environment,
        new PythonProcess.Program(
            PythonProcess.Role.WORKER, arguments(threads), log, patience, pids));
  }

  /**
   * @param farewell how long it may take to end by itself, and then on SIGTERM, before it is killed
   */
  static LocalWorkerProcess start(
      WorkerEnvironment environment,
      int threads,
      Path log,
      Duration patience,
      Optional<Path> pids,
      Duration farewell) {
    return start(
        environment,
        new PythonProcess.Program(
            PythonProcess.Role.WORKER, arguments(threads), log, patience, pids, farewell));
  }

  private static List<String> arguments(int threads) {
    return List.of("-m", "vard_worker", "serve", "--threads", Integer.toString(threads));
  }

  private static LocalWorkerProcess start(
      WorkerEnvironment environment, PythonProcess.Program program) {
    try {
      return new LocalWorkerProcess(PythonProcess.start(environment, program));
    } catch (PythonProcess.StartException e) {
      throw WorkerException.unavailable(e.getMessage(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw WorkerException.cancelled("interrupted while the worker started", e);
    }
  }

  int port() {
    return process.port();
  }

  long pid() {
    return process.pid();
  }

  /** What its calls must carry. */
  CallCredentials token() {
    return process.token();
  }

  /** Why no answer comes: called once the connection broke. */
  String diagnosis() {
    return process.diagnosis();
  }

  @Override
  public void close() {
    process.close();
  }
}
