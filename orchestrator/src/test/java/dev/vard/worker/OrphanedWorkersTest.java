package dev.vard.worker;

import static dev.vard.worker.TestSession.PATIENCE;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OrphanedWorkersTest {
  private static final Duration SHORT = Duration.ofMillis(200);

  @TempDir private Path folder;
  private final List<Process> processes = new ArrayList<>();

  @AfterEach
  void endAll() {
    processes.forEach(Process::destroyForcibly);
  }

  /** A stopped worker does not notice its input's end, nor hear of SIGTERM. */
  @Test
  void shouldEndAStoppedWorkerOfAKilledOrchestrator() throws Exception {
    try (var orchestrator = OtherOrchestrator.start(folder)) {
      Signals.stop(orchestrator.worker().pid());
      orchestrator.kill();
      assertThat(orchestrator.worker().isAlive()).isTrue();

      List<Long> ended = OrphanedWorkers.end(folder.resolve("pids"), SHORT);

      assertThat(ended).containsExactly(orchestrator.worker().pid());
      assertThat(orchestrator.worker().isAlive()).isFalse();
      assertThat(folder.resolve("pids")).isEmptyDirectory();
    }
  }

  @Test
  void shouldLeaveAWorkerAloneWhoseOrchestratorLives() throws Exception {
    Process worker = sleeping();
    Path file = PidFile.write(folder, worker.toHandle()).orElseThrow();

    assertThat(OrphanedWorkers.end(folder, SHORT)).isEmpty();

    assertThat(worker.isAlive()).isTrue();
    assertThat(file).exists();
  }

  @Test
  void shouldLeaveAProcessAloneThatHasTheNumberOfAnOlderOne() throws Exception {
    Process other = sleeping();
    Path file = write(other.pid(), Instant.now().minus(Duration.ofDays(1)), gone());

    assertThat(OrphanedWorkers.end(folder, SHORT)).isEmpty();

    assertThat(other.isAlive()).isTrue();
    assertThat(file).doesNotExist();
  }

  @Test
  void shouldNotTakeAnotherProcessForTheOrchestrator() throws Exception {
    Process worker = sleeping();
    Process other = sleeping();
    var orchestrator = new PidFile.Identity(other.pid(), Instant.EPOCH);
    write(worker.pid(), worker.info().startInstant().orElseThrow(), orchestrator);

    assertThat(OrphanedWorkers.end(folder, SHORT)).containsExactly(worker.pid());

    worker.onExit().get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
    assertThat(other.isAlive()).isTrue();
  }

  @Test
  void shouldRemoveTheFileOfAProcessThatHasEnded() throws Exception {
    PidFile.Identity worker = gone();
    Path file = write(worker.pid(), worker.started(), gone());

    assertThat(OrphanedWorkers.end(folder, SHORT)).isEmpty();

    assertThat(file).doesNotExist();
  }

  @Test
  void shouldRemoveAFileThatIsNotWhole() throws IOException {
    Path torn = Files.writeString(folder.resolve("worker-1.json"), "{\"pid\": 1, \"star");
    Path wrong = Files.writeString(folder.resolve("worker-2.json"), "{\"pid\": 2}");
    Path empty = Files.createFile(folder.resolve("worker-3.json"));

    assertThat(OrphanedWorkers.end(folder, SHORT)).isEmpty();

    assertThat(List.of(torn, wrong, empty)).noneMatch(Files::exists);
  }

  @Test
  void shouldLeaveOtherFilesAlone() throws IOException {
    Path other = Files.writeString(folder.resolve("orchestrator.json"), "{}");

    assertThat(OrphanedWorkers.end(folder, SHORT)).isEmpty();

    assertThat(other).exists();
  }

  @Test
  void shouldFindNothingWhereThereIsNoFolder() {
    assertThat(OrphanedWorkers.end(folder.resolve("nowhere"))).isEmpty();
  }

  private Path write(long pid, Instant started, PidFile.Identity orchestrator) throws IOException {
    return new PidFile(new PidFile.Identity(pid, started), orchestrator).writeTo(folder);
  }

  private Process sleeping() throws IOException {
    Process process = new ProcessBuilder("sleep", "600").start();
    processes.add(process);
    return process;
  }

  /** A process that has been. */
  private static PidFile.Identity gone() throws Exception {
    Process process = new ProcessBuilder("sleep", "600").start();
    PidFile.Identity identity = PidFile.Identity.of(process.toHandle()).orElseThrow();
    process.destroyForcibly().waitFor();
    return identity;
  }
}
