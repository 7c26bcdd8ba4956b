package dev.vard.cli.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.contentOf;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.cli.ExitCode;
import dev.vard.cli.ServerProcess;
import dev.vard.run.FakeWorker;
import dev.vard.worker.WorkerEnvironment;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The clients and a real server, in a process of its own; only the worker has no model. */
@Timeout(180)
class ServedClientsTest {
  private static final String WEIGHTS = "pytorch_lora_weights.safetensors";

  @TempDir private static Path folder;
  private static FakeWorker worker;
  private static ServerProcess server;
  private static String address;
  private static Path specification;
  private Vard vard;

  @BeforeAll
  static void serve() throws Exception {
    worker = new FakeWorker();
    Files.createDirectories(folder.resolve("models/tiny"));
    Files.writeString(folder.resolve("prompts.txt"), "a cat\na dog\n");
    specification =
        Files.writeString(
            folder.resolve("test.yaml"),
            """
            name: test
            model: {checkpoint: tiny}
            prompts: {file: prompts.txt}
            reward: {kind: jpeg-compressibility}
            algorithm: {kind: vard, iterations: 2, samples: 2, value: {warmup: 1}}
            evaluate: {images: 2}
            """);
    server = new ServerProcess(folder, worker.address(), Map.of());
    address = "127.0.0.1:" + server.grpcPort();
  }

  @AfterAll
  static void end() throws InterruptedException {
    server.close();
    worker.close();
  }

  @BeforeEach
  void use() {
    vard = new Vard(address);
  }

  private JsonNode json(String... arguments) throws IOException {
    Vard asked = new Vard(address);
    assertThat(asked.run(arguments)).as(asked::err).isEqualTo(ExitCode.OK);
    return new ObjectMapper().readTree(asked.out());
  }

  private String submit() throws IOException {
    return json("submit", specification.toString(), "--json").get("name").asText();
  }

  @Test
  void shouldBringARunFromTheSpecificationToTheLora() throws IOException {
    String run = submit();

    assertThat(vard.run("watch", run, "--json")).as(vard::err).isEqualTo(ExitCode.OK);
    List<Long> sequences = new ArrayList<>();
    for (String line : vard.lines()) {
      sequences.add(new ObjectMapper().readTree(line).get("sequence").longValue());
    }
    assertThat(sequences).isEqualTo(LongStream.rangeClosed(1, sequences.size()).boxed().toList());

    JsonNode known = json("show", run, "--json");
    assertThat(known.get("state").asText()).isEqualTo("DONE");
    Path out = folder.resolve("lora");
    JsonNode files = json("export", run, "--out", out.toString(), "--json").get("files");
    assertThat(files).isNotEmpty();
    assertThat(files)
        .filteredOn(file -> file.get("path").asText().endsWith(WEIGHTS))
        .extracting(file -> file.get("sha256").asText())
        .containsExactly(known.get("export_sha256").asText());
    assertThat(out.resolve(WEIGHTS)).isNotEmptyFile();
  }

  @Test
  void shouldListARunAndDeleteIt() throws IOException {
    String run = submit();
    assertThat(vard.run("watch", run)).as(vard::err).isEqualTo(ExitCode.OK);

    assertThat(vard.run("list", "--filter", "display_name = \"test\" AND state = DONE"))
        .as(vard::err)
        .isEqualTo(ExitCode.OK);
    assertThat(vard.out()).contains(RunName.of(run).id() + "  done", "2/2");

    assertThat(vard.run("delete", run, "--yes")).as(vard::err).isEqualTo(ExitCode.OK);
    assertThat(vard.run("show", run)).isEqualTo(ExitCode.FAILED);
    assertThat(vard.err()).contains(RunName.of(run).id());
  }

  @Test
  void shouldTellWhyTheServerRefuses() {
    assertThat(
            vard.run("submit", specification.toString(), "--set", "model.checkpoint=no/such/model"))
        .isEqualTo(ExitCode.FAILED);

    assertThat(vard.err()).startsWith("vard: " + specification + ": model.checkpoint: ");
  }

  @Test
  void shouldNameTheUsersFileAndTheOperatorsOptionForARewardThatIsNotAllowed() {
    assertThat(
            vard.run(
                "submit",
                specification.toString(),
                "--set",
                "reward={kind: python, function: 'examples.rewards.warmth:score'}"))
        .isEqualTo(ExitCode.FAILED);

    assertThat(vard.err().lines())
        .containsExactly(
            "vard: "
                + specification
                + ": reward.kind: the server takes no reward from"
                + " python:examples.rewards.warmth:score; give one that its operator allowed, or"
                + " ask for this one (vard serve --allow-reward"
                + " python:examples.rewards.warmth:score)");
  }

  @Test
  void shouldTellOfARunThatIsNotThere() {
    assertThat(vard.run("watch", "nope")).isEqualTo(ExitCode.FAILED);
    assertThat(vard.err().lines()).containsExactly("vard: there is no run nope; see vard list");
  }

  @Test
  void shouldRefuseToResumeWhatIsDone() throws IOException {
    String run = submit();
    assertThat(vard.run("watch", run)).isEqualTo(ExitCode.OK);

    assertThat(vard.run("resume", run)).isEqualTo(ExitCode.FAILED);

    assertThat(vard.err()).startsWith("vard: ").doesNotContain("FAILED_PRECONDITION");
  }

  @Test
  void shouldServeAClientInPython() throws Exception {
    WorkerEnvironment environment = WorkerEnvironment.find();
    Process client =
        environment
            .process(
                environment.home().resolve("examples/clients/python/run_once.py").toString(),
                specification.toString(),
                "--prompts",
                folder.resolve("prompts.txt").toString(),
                "--server",
                address,
                "--out",
                folder.resolve("from-python").toString())
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("client.log").toFile())
            .start();

    assertThat(client.waitFor())
        .as(() -> contentOf(folder.resolve("client.log").toFile()))
        .isZero();
    assertThat(folder.resolve("from-python").resolve(WEIGHTS)).isNotEmptyFile();
    assertThat(contentOf(folder.resolve("client.log").toFile()))
        .contains("iteration 2: reward", "done");
  }
}
