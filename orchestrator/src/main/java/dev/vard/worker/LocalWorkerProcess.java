package dev.vard.worker;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A worker process on this machine, from its start to its end.
 *
 * <p>The worker exits when its standard input ends. The pipe to it is held by this JVM alone, so
 * the worker ends with the JVM however that ends, kill -9 included: no orphan.
 */
final class LocalWorkerProcess implements AutoCloseable {
  /**
   * A worker in the middle of a large step notices the end of its input at once, but needs a moment
   * to let go.
   */
  private static final Duration FAREWELL = Duration.ofSeconds(10);

  private static final int TAIL_LINES = 20;
  private static final int TAIL_BYTES = 16 << 10;

  private final Process process;
  private final Path log;
  private final int port;
  private final Duration farewell;

  private LocalWorkerProcess(Process process, Path log, int port, Duration farewell) {
    this.process = process;
    this.log = log;
    this.port = port;
    this.farewell = farewell;
  }

  /**
   * Starts a worker and waits until it serves.
   *
   * @param threads CPU threads
   * @param log takes what the worker writes; appended to
   * @param patience how long to wait
   * @throws WorkerException UNAVAILABLE, if it does not come to serve, with the end of its log
   */
  static LocalWorkerProcess start(
      WorkerEnvironment environment, int threads, Path log, Duration patience) {
    return start(environment, threads, log, patience, FAREWELL);
  }

  /**
   * @param farewell how long it may take to end by itself, and then on SIGTERM, before it is killed
   */
  static LocalWorkerProcess start(
      WorkerEnvironment environment, int threads, Path log, Duration patience, Duration farewell) {
    Path folder = null;
    Process process = null;
    boolean serves = false;
    try {
      folder = Files.createTempDirectory("vard-worker");
      Path ready = folder.resolve("ready.json");
      process = launch(environment, threads, log, ready);
      int port = await(process, ready, log, patience);
      serves = true;
      return new LocalWorkerProcess(process, log, port, farewell);
    } catch (IOException e) {
      throw WorkerException.unavailable("the worker could not be started: " + e.getMessage(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw WorkerException.cancelled("interrupted while the worker started", e);
    } finally {
      if (process != null && !serves) {
        process.destroyForcibly();
      }
      if (folder != null) {
        delete(folder);
      }
    }
  }

  int port() {
    return port;
  }

  long pid() {
    return process.pid();
  }

  /** Why no answer comes: called once the connection broke. */
  String diagnosis() {
    boolean ended;
    try {
      // The connection may break a moment before the process is gone.
      ended = process.waitFor(farewell.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      ended = !process.isAlive();
    }
    return ended
        ? "the worker process died (" + exit(process) + ")" + tail(log)
        : "the worker process " + process.pid() + " runs but does not answer" + tail(log);
  }

  @Override
  public void close() {
    boolean interrupted = Thread.interrupted();
    try {
      process.getOutputStream().close();
    } catch (IOException e) {
      // It has ended already.
    }
    try {
      if (!process.waitFor(farewell.toMillis(), TimeUnit.MILLISECONDS)) {
        process.destroy();
        process.waitFor(farewell.toMillis(), TimeUnit.MILLISECONDS);
      }
    } catch (InterruptedException e) {
      interrupted = true;
    }
    if (process.isAlive()) {
      process.destroyForcibly();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static Process launch(WorkerEnvironment environment, int threads, Path log, Path ready)
      throws IOException {
    return environment
        .process(
            "-m",
            "vard_worker",
            "serve",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--threads",
            Integer.toString(threads),
            "--ready-file",
            ready.toString(),
            "--exit-with-stdin")
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
        .start();
  }

  private static int await(Process process, Path ready, Path log, Duration patience)
      throws IOException, InterruptedException {
    long end = System.nanoTime() + patience.toNanos();
    while (!Files.exists(ready)) {
      if (process.waitFor(20, TimeUnit.MILLISECONDS)) {
        throw WorkerException.unavailable(
            "the worker ended before it served (" + exit(process) + ")" + tail(log), null);
      }
      if (System.nanoTime() > end) {
        throw WorkerException.unavailable(
            "the worker did not serve within " + patience.toSeconds() + " s" + tail(log), null);
      }
    }
    return new ObjectMapper().readTree(ready.toFile()).required("port").intValue();
  }

  private static String exit(Process process) {
    int code = process.exitValue();
    return code > 128 ? "killed by signal " + (code - 128) : "exit code " + code;
  }

  /** The end of the log, which is where Python says why. */
  private static String tail(Path log) {
    return lastLines(log)
        .filter(lines -> !lines.isBlank())
        .map(lines -> "; the end of its log, " + log + ":\n" + lines)
        .orElse("; its log, " + log + ", is empty");
  }

  private static Optional<String> lastLines(Path log) {
    try (var channel = Files.newByteChannel(log)) {
      channel.position(Math.max(0, channel.size() - TAIL_BYTES));
      var bytes = ByteBuffer.allocate(TAIL_BYTES);
      while (bytes.hasRemaining() && channel.read(bytes) >= 0) {}
      List<String> lines =
          new String(bytes.array(), 0, bytes.position(), StandardCharsets.UTF_8).lines().toList();
      return Optional.of(
          lines.stream()
              .skip(Math.max(0, lines.size() - TAIL_LINES))
              .collect(Collectors.joining("\n")));
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  private static void delete(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
      Files.delete(folder);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
