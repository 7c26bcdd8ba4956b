package dev.vard.cli.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.contentOf;

import dev.vard.proto.v1.CreateRunRequest;
import dev.vard.proto.v1.Interval;
import dev.vard.proto.v1.IterationFinished;
import dev.vard.proto.v1.Run;
import dev.vard.proto.v1.RunEvent;
import dev.vard.proto.v1.WatchRunRequest;
import dev.vard.worker.WorkerEnvironment;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code examples/clients/python}, as a program of its own. */
@Timeout(120)
class PythonClientTest {
  private static final String RUN = "runs/run-1";

  @TempDir private Path folder;
  private FakeRunService service;

  @BeforeEach
  void start() throws IOException {
    service = new FakeRunService();
    Files.writeString(folder.resolve("spec.yaml"), "name: test\n");
    Files.writeString(folder.resolve("prompts.txt"), "# animals\na cat\n\na \"dog\"\n");
  }

  @AfterEach
  void end() {
    service.close();
  }

  private Process client() throws IOException {
    WorkerEnvironment environment = WorkerEnvironment.find();
    ProcessBuilder client =
        environment.process(
            environment.home().resolve("examples/clients/python/run_once.py").toString(),
            "spec.yaml",
            "--prompts",
            "prompts.txt",
            "--server",
            service.address(),
            "--out",
            "lora");
    client.environment().put("VARD_TOKEN", "secret");
    return client
        .directory(folder.toFile())
        .redirectOutput(folder.resolve("out").toFile())
        .redirectError(folder.resolve("err").toFile())
        .start();
  }

  private List<String> output(String name) throws IOException {
    return new ArrayList<>(Files.readAllLines(folder.resolve(name)));
  }

  private void iteration(int k) {
    service.tell(
        RUN,
        RunEvent.newBuilder()
            .setIteration(
                IterationFinished.newBuilder()
                    .setIteration(k)
                    .setReward(Interval.newBuilder().setMean(-1.0 / k))));
  }

  @Test
  void shouldBringALoraOverLostAnswersAndConnections() throws Exception {
    service.loseAnswers(1);
    service.file(RUN, "export/README.md", "card");
    service.file(RUN, "export/pytorch_lora_weights.safetensors", "weights of several chunks");
    service.file(RUN, "report.html", "report");

    Process client = client();
    service.awaitWatcher();
    service.stop();
    iteration(1);
    iteration(2);
    iteration(3);
    service.tell(RUN, Run.State.DONE);
    service.breakStreamsAfter(2);
    service.startAgain();

    assertThat(client.waitFor()).as(() -> contentOf(folder.resolve("err").toFile())).isZero();
    assertThat(output("out"))
        .containsExactly(
            RUN,
            "iteration 1: reward -1",
            "iteration 2: reward -0.5",
            "iteration 3: reward -0.3333",
            "done ",
            "lora/README.md",
            "lora/pytorch_lora_weights.safetensors");
    assertThat(folder.resolve("lora/pytorch_lora_weights.safetensors"))
        .hasContent("weights of several chunks");
    assertThat(service.runs()).hasSize(1);
    assertThat(service.requests(CreateRunRequest.class).getFirst().getOverridesList())
        .containsExactly("prompts={\"list\": [\"a cat\", \"a \\\"dog\\\"\"]}");
    assertThat(service.requests(WatchRunRequest.class).getLast().getAfterSequence()).isEqualTo(2);
    assertThat(service.authorizations()).containsOnly("Bearer secret");
  }

  @Test
  void shouldKeepNothingOfAFileThatArrivesDamaged() throws Exception {
    service.file(RUN, "export/pytorch_lora_weights.safetensors", "weights of several chunks");
    service.damage(RUN, "export/pytorch_lora_weights.safetensors");

    Process client = client();
    service.awaitWatcher();
    service.tell(RUN, Run.State.DONE);

    assertThat(client.waitFor()).isEqualTo(1);
    assertThat(output("err").getLast()).contains("arrived damaged");
    assertThat(folder.resolve("lora")).isEmptyDirectory();
  }
}
