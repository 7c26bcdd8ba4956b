package dev.vard.worker;

import static dev.vard.worker.TestSession.PATIENCE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.vard.proto.v1.DescribeRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LocalWorkerProcessTest {
  @TempDir private Path folder;

  @Test
  void shouldSayWhyAWorkerDidNotStart() throws IOException {
    WorkerEnvironment broken = fakeWorker("raise SystemExit('the libraries are missing')");

    assertThatThrownBy(() -> LocalWorkerProcess.start(broken, 1, log(), PATIENCE, Optional.empty()))
        .isInstanceOfSatisfying(
            WorkerException.class,
            e -> assertThat(e.kind()).isEqualTo(WorkerException.Kind.UNAVAILABLE))
        .hasMessageContaining("exit code 1")
        .hasMessageContaining("the libraries are missing")
        .hasMessageContaining(log().toString());
  }

  @Test
  void shouldGiveUpOnAWorkerThatNeverServes() throws IOException {
    WorkerEnvironment silent = fakeWorker("import sys; sys.stdin.read()");

    assertThatThrownBy(
            () ->
                LocalWorkerProcess.start(
                    silent, 1, log(), Duration.ofMillis(50), Optional.of(folder)))
        .isInstanceOfSatisfying(
            WorkerException.class,
            e -> assertThat(e.kind()).isEqualTo(WorkerException.Kind.UNAVAILABLE))
        .hasMessageContaining("did not serve within");
    assertThat(folder).isDirectoryNotContaining("glob:**.json");
  }

  @Test
  void shouldEndAWorkerThatIgnoresItsInputsEnd() throws Exception {
    WorkerEnvironment deaf =
        fakeWorker(
            """
            import json, pathlib, sys, threading
            ready = pathlib.Path(sys.argv[sys.argv.index('--ready-file') + 1])
            ready.with_suffix('.part').write_text(json.dumps({'port': 1, 'pid': 1}))
            ready.with_suffix('.part').rename(ready)
            threading.Event().wait()
            """);
    LocalWorkerProcess worker =
        LocalWorkerProcess.start(deaf, 1, log(), PATIENCE, Optional.empty(), Duration.ofMillis(50));
    ProcessHandle process = ProcessHandle.of(worker.pid()).orElseThrow();

    worker.close();

    process.onExit().get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
  }

  @Test
  void shouldReportAWorkerThatDiesInTheMiddleOfARequest() {
    LocalWorkerProcess worker =
        LocalWorkerProcess.start(WorkerEnvironment.find(), 1, log(), PATIENCE, Optional.empty());
    ProcessHandle process = ProcessHandle.of(worker.pid()).orElseThrow();
    try (var client = new GrpcWorkerClient(worker)) {
      TestSession session = TestSession.open(client);

      WorkerException failure =
          catchThrowableOfType(
              WorkerException.class,
              () ->
                  client.sample(
                      session.looking(64).setBatch(1).build(),
                      chunk -> process.destroyForcibly(),
                      PATIENCE));
      WorkerException next =
          catchThrowableOfType(
              WorkerException.class,
              () -> client.describe(DescribeRequest.getDefaultInstance(), PATIENCE));

      assertThat(failure.kind()).isEqualTo(WorkerException.Kind.UNAVAILABLE);
      assertThat(failure)
          .hasMessageContaining("Sample: the worker process died (killed by signal 9)")
          .hasMessageContaining("serving on 127.0.0.1");
      assertThat(next.kind()).isEqualTo(WorkerException.Kind.UNAVAILABLE);
    }
  }

  /** The orchestrator is killed with -9, so nothing of it can clean up. */
  @Test
  void shouldNotOutliveItsOrchestrator() throws Exception {
    try (var orchestrator = OtherOrchestrator.start(folder)) {
      assertThat(orchestrator.worker().isAlive()).isTrue();

      orchestrator.kill();

      orchestrator.worker().onExit().get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
    }
  }

  @Test
  void shouldServeItsOwnOrchestratorAlone() {
    LocalWorkerProcess worker =
        LocalWorkerProcess.start(
            WorkerEnvironment.find(), 1, log(), PATIENCE, Optional.of(folder.resolve("pids")));
    try (var client = new GrpcWorkerClient(worker);
        var stranger =
            new GrpcWorkerClient(
                new WorkerLocation.Remote("127.0.0.1", worker.port()), WorkerSecurity.NONE)) {
      assertThat(folder.resolve("pids/worker-" + worker.pid() + ".json")).exists();
      assertThat(client.describe(DescribeRequest.getDefaultInstance(), PATIENCE).getThreads())
          .isEqualTo(1);
      assertThatThrownBy(() -> stranger.describe(DescribeRequest.getDefaultInstance(), PATIENCE))
          .isInstanceOfSatisfying(
              WorkerException.class,
              e -> assertThat(e.kind()).isEqualTo(WorkerException.Kind.UNAVAILABLE))
          .hasMessageContaining("VARD_WORKER_TOKEN_FILE");
    }
    assertThat(folder.resolve("pids")).isEmptyDirectory();
  }

  private Path log() {
    return folder.resolve("worker.log");
  }

  /** An environment whose worker does something else. */
  private WorkerEnvironment fakeWorker(String program) throws IOException {
    Path main = folder.resolve("home/python-worker/src/vard_worker/__main__.py");
    Files.createDirectories(main.getParent());
    Files.writeString(main, program);
    return new WorkerEnvironment(folder.resolve("home"), WorkerEnvironment.find().python());
  }
}
