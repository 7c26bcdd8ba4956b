package dev.vard.worker;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.files.PrivateFiles;
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
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A gRPC server in Python on this machine, from its start to its end.
 *
 * <p>It exits when its standard input ends. The pipe to it is held by this JVM alone, so it ends
 * with the JVM however that ends, kill -9 included. One that cannot notice is named by its pid
 * file, for {@link OrphanedWorkers}.
 *
 * <p>It serves callers that know a token, made for it, alone: other users of the machine can reach
 * its port, and are not to have a program with this user's rights.
 */
public final class PythonProcess implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(PythonProcess.class);

  /**
   * One in the middle of a large step notices the end of its input at once, but needs a moment to
   * let go.
   */
  private static final Duration FAREWELL = Duration.ofSeconds(10);

  /** The connection breaks a moment before the process is gone. */
  private static final Duration LAST_MOMENT = Duration.ofSeconds(2);

  private static final int TOKEN_BYTES = 32;

  private static final int TAIL_LINES = 20;
  private static final int TAIL_BYTES = 16 << 10;

  /** What a process is: its environment variables follow from it, and its name in errors. */
  public enum Role {
    /** Runs this project's code alone. */
    WORKER("worker"),
    /** Runs a function of the user's, who may have put it on {@code PYTHONPATH}. */
    REWARD("reward");

    private final String label;

    Role(String label) {
      this.label = label;
    }

    String label() {
      return label;
    }
  }

  /**
   * What to start.
   *
   * @param role what it is
   * @param arguments of the interpreter; where to serve, and for whom, is added to them
   * @param log takes what it writes; appended to
   * @param patience how long it may take to come to serve
   * @param pids folder for its pid file
   * @param farewell how long it may take to end by itself, and then on SIGTERM, before it is killed
   */
  public record Program(
      Role role,
      List<String> arguments,
      Path log,
      Duration patience,
      Optional<Path> pids,
      Duration farewell) {
    public Program {
      arguments = List.copyOf(arguments);
    }

    public Program(
        Role role, List<String> arguments, Path log, Duration patience, Optional<Path> pids) {
      this(role, arguments, log, patience, pids, FAREWELL);
    }
  }

  /**
   * Whom to tell that a process takes long to come to serve.
   *
   * @param after how long that is
   * @param tell told once
   */
  public record Slow(Duration after, Runnable tell) {
    static final Slow NOBODY = new Slow(Duration.ofDays(1), () -> {});
  }

  /** It did not come to serve. The message says why, with the end of its log. */
  public static final class StartException extends Exception {
    private static final long serialVersionUID = 1L;

    private final boolean gaveUp;
    private final String lastWords;

    private StartException(
        String message, boolean gaveUp, String lastWords, @Nullable Throwable cause) {
      super(message, cause);
      this.gaveUp = gaveUp;
      this.lastWords = lastWords;
    }

    /** Without last words. */
    public StartException(String message, @Nullable Throwable cause) {
      this(message, false, "", cause);
    }

    /** Never null. */
    @Override
    public String getMessage() {
      return Objects.requireNonNull(super.getMessage());
    }

    /** Whether it ended by itself: something is wrong with it, and will be the next time. */
    public boolean gaveUp() {
      return gaveUp;
    }

    /** The last line of its log; empty if there is none. */
    public String lastWords() {
      return lastWords;
    }
  }

  private final Program program;
  private final Process process;
  private final Log log;
  private final int port;
  private final String token;
  private final Optional<Path> pidFile;

  /** Whether it was found not to answer: it will not hear of its input's end either. */
  private volatile boolean hangs;

  private PythonProcess(
      Program program, Process process, Log log, int port, String token, Optional<Path> pidFile) {
    this.program = program;
    this.process = process;
    this.log = log;
    this.port = port;
    this.token = token;
    this.pidFile = pidFile;
  }

  /** Starts a process and waits until it serves. */
  public static PythonProcess start(WorkerEnvironment environment, Program program)
      throws StartException, InterruptedException {
    return start(environment, program, Slow.NOBODY);
  }

  /** Starts a process and waits until it serves. */
  public static PythonProcess start(WorkerEnvironment environment, Program program, Slow slow)
      throws StartException, InterruptedException {
    Path folder = null;
    Process process = null;
    Optional<Path> pidFile = Optional.empty();
    boolean serves = false;
    try {
      // For this user's eyes alone: it is to hold the token.
      folder = Files.createTempDirectory("vard-python");
      String token = newToken();
      Path tokenFile = Files.writeString(folder.resolve("token"), token);
      Path ready = folder.resolve("ready.json");
      PrivateFiles.create(program.log());
      Log log = Log.from(program.log());
      process = launch(environment, program, ready, tokenFile);
      if (program.pids().isPresent()) {
        pidFile = PidFile.write(program.pids().get(), process.toHandle());
      }
      int port = await(program.role().label(), process, ready, log, program.patience(), slow);
      serves = true;
      return new PythonProcess(program, process, log, port, token, pidFile);
    } catch (IOException e) {
      throw new StartException(
          "the " + program.role().label() + " could not be started: " + e.getMessage(), e);
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

  public int port() {
    return port;
  }

  public long pid() {
    return process.pid();
  }

  public boolean isAlive() {
    return process.isAlive();
  }

  /** What its calls must carry. */
  public CallCredentials token() {
    return new WorkerSecurity.Bearer(token);
  }

  /** Why no answer comes: called once the connection broke. */
  public String diagnosis() {
    boolean ended;
    try {
      ended = process.waitFor(LAST_MOMENT.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      ended = !process.isAlive();
    }
    hangs = !ended;
    return ended
        ? "the %s process died (%s)%s".formatted(program.role().label(), exit(process), log.tail())
        : "the %s process %d runs but does not answer%s"
            .formatted(program.role().label(), process.pid(), log.tail());
  }

  @Override
  public void close() {
    boolean interrupted = Thread.interrupted();
    try {
      process.getOutputStream().close();
    } catch (IOException e) {
      // It has ended already.
    }
    long farewell = program.farewell().toMillis();
    try {
      if (!hangs && !process.waitFor(farewell, TimeUnit.MILLISECONDS)) {
        process.destroy();
        process.waitFor(farewell, TimeUnit.MILLISECONDS);
      }
      if (process.isAlive()) {
        // Also ends one that is stopped.
        process.destroyForcibly();
        process.waitFor(farewell, TimeUnit.MILLISECONDS);
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
      WorkerEnvironment environment, Program program, Path ready, Path token) throws IOException {
    Stream<String> serving =
        Stream.of(
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--ready-file",
            ready.toString(),
            "--token-file",
            token.toString(),
            "--exit-with-stdin");
    return environment
        .process(program.role(), Stream.concat(program.arguments().stream(), serving).toList())
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.appendTo(program.log().toFile()))
        .start();
  }

  /** Waits until a process has written its ready file, and gives the port in it. */
  static int await(String what, Process process, Path ready, Log log, Duration patience, Slow slow)
      throws IOException, InterruptedException, StartException {
    long start = System.nanoTime();
    boolean told = false;
    while (!Files.exists(ready)) {
      if (process.waitFor(20, TimeUnit.MILLISECONDS)) {
        throw new StartException(
            "the %s process ended before it served (%s)%s"
                .formatted(what, exit(process), log.tail()),
            process.exitValue() <= SIGNAL,
            log.lastLine(),
            null);
      }
      long waited = System.nanoTime() - start;
      if (!told && waited > slow.after().toNanos()) {
        told = true;
        slow.tell().run();
      }
      if (waited > patience.toNanos()) {
        throw new StartException(
            "the %s process did not serve within %d s%s"
                .formatted(what, patience.toSeconds(), log.tail()),
            null);
      }
    }
    return new ObjectMapper().readTree(ready.toFile()).required("port").intValue();
  }

  /** Exit codes above are those of processes that a signal ended. */
  private static final int SIGNAL = 128;

  private static String exit(Process process) {
    int code = process.exitValue();
    return code > SIGNAL ? "killed by signal " + (code - SIGNAL) : "exit code " + code;
  }

  /**
   * What a process writes: the file from where it began.
   *
   * @param start in bytes; what is before is others'
   */
  record Log(Path file, long start) {
    static Log from(Path file) throws IOException {
      return new Log(file, Files.exists(file) ? Files.size(file) : 0);
    }

    /** The end, which is where Python says why. */
    String tail() {
      List<String> lines = lastLines();
      return lines.isEmpty()
          ? "; its log, " + file + ", is empty"
          : "; the end of its log, " + file + ":\n" + String.join("\n", lines);
    }

    String lastLine() {
      List<String> lines = lastLines();
      return lines.isEmpty() ? "" : lines.getLast();
    }

    private List<String> lastLines() {
      try (var channel = Files.newByteChannel(file)) {
        channel.position(Math.max(start, channel.size() - TAIL_BYTES));
        var bytes = ByteBuffer.allocate(TAIL_BYTES);
        while (bytes.hasRemaining() && channel.read(bytes) >= 0) {}
        List<String> lines =
            new String(bytes.array(), 0, bytes.position(), StandardCharsets.UTF_8)
                .strip()
                .lines()
                .toList();
        return lines.subList(Math.max(0, lines.size() - TAIL_LINES), lines.size());
      } catch (IOException e) {
        return List.of();
      }
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
