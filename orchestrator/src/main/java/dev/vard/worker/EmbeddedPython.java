package dev.vard.worker;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import jep.JepConfig;
import jep.JepException;
import jep.MainInterpreter;
import jep.PyConfig;
import jep.SharedInterpreter;
import org.jspecify.annotations.Nullable;

/**
 * CPython in this JVM, and the one thread that may use it.
 *
 * <p>There is one in a process, for as long as the process lives, and so it is the one static state
 * here: CPython's extension modules, torch among them, cannot be loaded a second time. An
 * interpreter belongs to the thread that made it. That thread is a platform thread: torch on a
 * virtual thread hung the JVM.
 */
final class EmbeddedPython {
  private static @Nullable EmbeddedPython started;

  private final WorkerEnvironment environment;
  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(Thread.ofPlatform().name("vard-python").daemon().factory());

  /** Of {@link #load}. */
  @SuppressWarnings("NullAway.Init")
  private SharedInterpreter interpreter;

  private EmbeddedPython(WorkerEnvironment environment) {
    this.environment = environment;
  }

  /**
   * Starts Python at the first call, and gives the same one ever after.
   *
   * @throws WorkerException UNAVAILABLE, if Jep is not installed or does not work, with the cure
   */
  static synchronized EmbeddedPython start(WorkerEnvironment environment) {
    if (started == null) {
      var python = new EmbeddedPython(environment);
      python.load();
      started = python;
    }
    if (!started.environment.equals(environment)) {
      throw WorkerException.unavailable(
          "this JVM runs the Python of "
              + started.environment.python()
              + " already, and cannot run that of "
              + environment.python()
              + " too: use one of them, or worker: local",
          null);
    }
    return started;
  }

  /** What the Python thread does; its Python objects must not leave it. */
  interface Task<T> {
    T run(SharedInterpreter interpreter) throws Exception;
  }

  /** Queues a task for the Python thread. */
  <T> Future<T> submit(Task<T> task) {
    return thread.submit(() -> task.run(interpreter));
  }

  private void load() {
    try {
      MainInterpreter.setJepLibraryPath(library(environment).toString());
      // The program's name leads CPython to the virtual environment that it lies in.
      MainInterpreter.setInitParams(
          PyConfig.python()
              .setProgramName(environment.python().toString())
              // PYTHONHOME and PYTHONPATH are of another Python than this one.
              .setUseEnvironment(false));
      // What Python prints must not get between the lines of this program's own output.
      SharedInterpreter.setConfig(
          new JepConfig()
              .addIncludePaths(environment.sources().toString())
              .redirectStdout(System.err));
      onThread(() -> interpreter = new SharedInterpreter());
    } catch (JepException | UnsatisfiedLinkError | IllegalStateException | IOException e) {
      throw WorkerException.unavailable(
          "Jep does not work: " + e.getMessage() + "; run ./vard doctor", e);
    }
  }

  private <T> void onThread(Callable<T> task) throws JepException {
    try {
      thread.submit(task).get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw WorkerException.cancelled("interrupted while Python started", e);
    } catch (ExecutionException e) {
      Throwable cause = Objects.requireNonNull(e.getCause());
      throw new JepException(cause.getMessage(), cause);
    }
  }

  /**
   * Jep's native library: of the environment's own jep package, which was compiled against its
   * Python.
   */
  static Path library(WorkerEnvironment environment) throws IOException {
    Process process =
        environment
            .process(
                "-c",
                "import importlib.util as u; s = u.find_spec('jep');"
                    + " print(s.submodule_search_locations[0] if s else '')")
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    String folder =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    if (folder.isEmpty()) {
      throw WorkerException.unavailable(
          "the Python package jep is not installed in "
              + environment.python()
              + ": install a C compiler (Debian, Ubuntu: apt install build-essential; macOS:"
              + " xcode-select --install) and run ./vard setup, or use worker: local",
          null);
    }
    return Path.of(folder).resolve(System.mapLibraryName("jep").replace(".dylib", ".jnilib"));
  }
}
