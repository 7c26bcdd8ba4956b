package dev.vard.worker;

import static dev.vard.worker.TestSession.PATIENCE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.vard.proto.v1.DescribeRequest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A worker that does not answer, and one that has no time to. */
class HangingWorkerTest {
  /** Asks as often as gRPC lets us. */
  private static final KeepAlive QUICK =
      new KeepAlive(Duration.ofSeconds(10), Duration.ofSeconds(1));

  @TempDir private Path folder;

  @Test
  void shouldGiveUpOnAWorkerThatStopsInTheMiddleOfSampleAndEndIt() throws Exception {
    LocalWorkerProcess worker = start(WorkerEnvironment.find());
    ProcessHandle process = ProcessHandle.of(worker.pid()).orElseThrow();
    long stopped;
    try (var client = new GrpcWorkerClient(worker, QUICK)) {
      TestSession session = TestSession.open(client);

      long start = System.nanoTime();
      WorkerException failure =
          catchThrowableOfType(
              WorkerException.class,
              () ->
                  client.sample(
                      session.looking(1000).setBatch(1).build(), chunk -> stop(process), PATIENCE));

      assertThat(failure.kind()).isEqualTo(WorkerException.Kind.UNAVAILABLE);
      assertThat(failure).hasMessageContaining("runs but does not answer");
      assertThat(Duration.ofNanos(System.nanoTime() - start))
          .isLessThan(QUICK.every().plus(QUICK.patience()).multipliedBy(2));
      assertThat(process.isAlive()).isTrue();
      stopped = System.nanoTime();
    }
    process.onExit().get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
    assertThat(Duration.ofNanos(System.nanoTime() - stopped))
        .as("a worker that hangs is not waited for")
        .isLessThan(Duration.ofSeconds(15));
  }

  /** Longer than a ping and its patience, and without letting another Python thread do anything. */
  @Test
  void shouldLeaveAWorkerAloneThatComputesForLong() throws IOException {
    Path main = folder.resolve("home/python-worker/src/vard_worker/__main__.py");
    Files.createDirectories(main.getParent());
    Files.writeString(
        main,
        """
        import ctypes, os, runpy, sys
        sys.path.insert(0, os.environ['REAL_SOURCES'])
        del sys.modules['vard_worker']
        from vard_worker.handler import METHODS, Method

        describe = METHODS['Describe']

        def busy(*arguments):
            ctypes.PyDLL(None).sleep(14)  # PyDLL: with the GIL held
            yield from describe.answer(*arguments)

        METHODS['Describe'] = Method(describe.request, busy)
        runpy.run_module('vard_worker', run_name='__main__')
        """);
    WorkerEnvironment real = WorkerEnvironment.find();
    var environment =
        new WorkerEnvironment(folder.resolve("home"), wrapper(real.python(), real.sources()));
    try (var client = new GrpcWorkerClient(start(environment), QUICK)) {
      assertThat(client.describe(DescribeRequest.getDefaultInstance(), PATIENCE).getThreads())
          .isEqualTo(1);
    }
  }

  private LocalWorkerProcess start(WorkerEnvironment environment) {
    return LocalWorkerProcess.start(
        environment, 1, folder.resolve("worker.log"), PATIENCE, Optional.empty());
  }

  /** An interpreter that is told where the real worker is. */
  private Path wrapper(Path python, Path sources) throws IOException {
    Path wrapper = folder.resolve("python");
    Files.writeString(
        wrapper, "#!/bin/sh\nREAL_SOURCES='%s' exec '%s' \"$@\"\n".formatted(sources, python));
    assertThat(wrapper.toFile().setExecutable(true)).isTrue();
    return wrapper;
  }

  private static void stop(ProcessHandle process) {
    try {
      Signals.stop(process.pid());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
