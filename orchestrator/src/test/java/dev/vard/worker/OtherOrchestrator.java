package dev.vard.worker;

import static dev.vard.worker.TestSession.PATIENCE;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Another orchestrator's process, which has started a worker and stays, to be killed with -9.
 *
 * @param worker the worker's process
 */
record OtherOrchestrator(Process process, ProcessHandle worker) implements AutoCloseable {

  /**
   * @param folder gets the worker's log, and its pid file in {@code pids}
   */
  static OtherOrchestrator start(Path folder) throws IOException {
    Process process =
        new ProcessBuilder(
                ProcessHandle.current().info().command().orElseThrow(),
                "-cp",
                System.getProperty("java.class.path"),
                OtherOrchestrator.class.getName(),
                folder.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    BufferedReader output = process.inputReader();
    return new OtherOrchestrator(
        process, ProcessHandle.of(Long.parseLong(output.readLine())).orElseThrow());
  }

  /** Starts a worker, tells its pid, and stays. */
  public static void main(String[] arguments) throws InterruptedException {
    Path folder = Path.of(arguments[0]);
    var worker =
        LocalWorkerProcess.start(
            WorkerEnvironment.find(),
            1,
            folder.resolve("worker.log"),
            PATIENCE,
            Optional.of(folder.resolve("pids")));
    System.out.println(worker.pid());
    Thread.currentThread().join();
  }

  void kill() throws InterruptedException {
    process.destroyForcibly().waitFor();
  }

  @Override
  public void close() {
    process.destroyForcibly();
    worker.destroyForcibly();
  }
}
