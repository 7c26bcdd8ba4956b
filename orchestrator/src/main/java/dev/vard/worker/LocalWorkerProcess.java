package dev.vard.worker;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.grpc.CallCredentials;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A worker process on this machine, from its start to its end.
 *
 * <p>The worker exits when its standard input ends. The pipe to it is held by this JVM alone, so
 * the worker ends with the JVM however that ends, kill -9 included. One that cannot notice is named
 * by its pid file, for {@link OrphanedWorkers}.
 *
 * <p>It serves callers that know a token, made for it, alone: other users of the machine can reach
 * its port, and are not to have a program with this user's rights.
 */
final class LocalWorkerProcess implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(LocalWorkerProcess.class);

  /**
   * A worker in the middle of a large step notices the end of its input at once, but needs a moment
   * to let go.
   */
  private static final Duration FAREWELL = Duration.ofSeconds(10);

  /** The connection breaks a moment before the process is gone. */
  private static final Duration LAST_MOMENT = Duration.ofSeconds(2);

  private static final int TOKEN_BYTES = 32;

  private static final int TAIL_LINES = 20;
  private static final int TAIL_BYTES = 16 << 10;

  private final Process process;
  private final Path log;
  private final int port;
  private final String token;
  private final Optional<Path> pidFile;
  private final Duration farewell;

  /** Whether it was found not to answer: it will not hear of its input's end either. */
  private volatile boolean hangs;

  private LocalWorkerProcess(
      Process process,
      Path log,
      int port,
      String token,
      Optional<Path> pidFile,
      Duration farewell) {
    this.process = process;
    this.log = log;
    this.port = port;
    this.token = token;
    this.pidFile = pidFile;
    this.farewell = farewell;
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
    return start(environment, threads, log, patience, pids, FAREWELL);
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
    Path folder = null;
    Process process = null;
    Optional<Path> pidFile = Optional.empty();
    boolean serves = false;
    try {
      // For this user's eyes alone: it is to hold the token.
      folder = Files.createTempDirectory("vard-worker");
      String token = newToken();
      Path tokenFile = Files.writeString(folder.resolve("token"), token);
      Path ready = folder.resolve("ready.json");
      process = launch(environment, threads, log, ready, tokenFile);
      if (pids.isPresent()) {
        pidFile = PidFile.write(pids.get(), process.toHandle());
      }
      int port = await(process, ready, log, patience);
      serves = true;
      return new LocalWorkerProcess(process, log, port, token, pidFile, farewell);
    } catch (IOException e) {
      throw WorkerException.unavailable("the worker could not be started: " + e.getMessage(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw WorkerException.cancelled("interrupted while the worker started", e);
    } finally {
      if (process != null && !serves) {
        process.destroyForcibly();
        remove(pidFile);
      }
      if (folder != null) {
        delete(folder);
      }
    }
  }

  private static String newToken() {
    byte[] random = new byte[TOKEN_BYTES];
    new SecureRandom().nextBytes(random);
    return HexFormat.of().formatHex(random);
  }

  int port() {
    return port;
  }

  long pid() {
    return process.pid();
  }

  /** What its calls must carry. */
  CallCredentials token() {
    return new WorkerSecurity.Bearer(token);
  }

  /** Why no answer comes: called once the connection broke. */
  String diagnosis() {
    boolean ended;
    try {
      ended = process.waitFor(LAST_MOMENT.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      ended = !process.isAlive();
    }
    hangs = !ended;
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
      if (!hangs && !process.waitFor(farewell.toMillis(), TimeUnit.MILLISECONDS)) {
        process.destroy();
        process.waitFor(farewell.toMillis(), TimeUnit.MILLISECONDS);
      }
      if (process.isAlive()) {
        // Also ends one that is stopped.
        process.destroyForcibly();
        process.waitFor(farewell.toMillis(), TimeUnit.MILLISECONDS);
      }
    } catch (InterruptedException e) {
      interrupted = true;
      process.destroyForcibly();
    }
    remove(pidFile);
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static Process launch(
      WorkerEnvironment environment, int threads, Path log, Path ready, Path token)
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
            "--token-file",
            token.toString(),
            "--exit-with-stdin")
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
        .start();
  }

  /** Waits until the worker has written its ready file, and gives the port in it. */
  static int await(Process process, Path ready, Path log, Duration patience)
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

  private static void remove(Optional<Path> pidFile) {
    try {
      if (pidFile.isPresent()) {
        Files.deleteIfExists(pidFile.get());
      }
    } catch (IOException e) {
      // It names a process that has ended: the next orchestrator to start removes it.
      LOG.warn("The pid file {} could not be removed: {}", pidFile.get(), e.getMessage());
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
