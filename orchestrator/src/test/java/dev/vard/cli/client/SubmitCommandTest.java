package dev.vard.cli.client;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.rpc.Code;
import dev.vard.cli.ExitCode;
import dev.vard.proto.v1.CreateRunRequest;
import dev.vard.proto.v1.Run;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class SubmitCommandTest {
  private static final String SPEC =
      """
      name: test
      model: {checkpoint: checkpoints/only-the-server-has-it}
      prompts: {file: prompts.txt}
      reward: {kind: jpeg-compressibility}
      algorithm: {kind: vard}
      """;

  @TempDir private Path folder;
  private FakeRunService service;
  private Path specification;
  private Vard vard;

  @BeforeEach
  void start() throws IOException {
    service = new FakeRunService();
    vard = new Vard(service.address());
    Files.createDirectories(folder.resolve("checkpoints"));
    Files.writeString(folder.resolve("prompts.txt"), "a cat\n");
    specification = Files.writeString(folder.resolve("test.yaml"), SPEC);
  }

  @AfterEach
  void end() {
    service.close();
  }

  private int submit(String... more) {
    String[] arguments = new String[more.length + 2];
    arguments[0] = "submit";
    arguments[1] = specification.toString();
    System.arraycopy(more, 0, arguments, 2, more.length);
    return vard.run(arguments);
  }

  private CreateRunRequest sent() {
    return service.requests(CreateRunRequest.class).getFirst();
  }

  @Test
  void shouldPrintTheRunsName() {
    assertThat(submit()).isEqualTo(ExitCode.OK);

    assertThat(vard.lines()).containsExactly("runs/run-1");
  }

  @Test
  void shouldSendAllThatIsNeededElsewhere() {
    submit("--set", "algorithm.iterations=5", "--priority", "-7");

    assertThat(sent().getSpecification())
        .contains(
            "checkpoint: checkpoints/only-the-server-has-it", "- a cat", "iterations: 5", "seed: 7")
        .doesNotContain("threads", folder.toString());
    assertThat(sent().getPriority()).isEqualTo(-7);
    assertThat(UUID.fromString(sent().getRequestId())).isNotNull();
  }

  @Test
  void shouldTellWhatIsWrongWithTheUsersFileBeforeAnythingIsSent() throws IOException {
    Files.writeString(specification, SPEC + "sampler: {steps: 0}\nworker: embedded\n");

    assertThat(submit()).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(vard.err().lines())
        .containsExactly(
            specification + ":6: sampler.steps: 0 is below 1; give a whole number from 1 to 1000",
            specification + ":7: worker: the server decides which worker runs what; remove it");
    assertThat(service.requests(CreateRunRequest.class)).isEmpty();
  }

  @Test
  void shouldAskAgainForTheSameRunWhenAnAnswerIsLost() {
    service.loseAnswers(2);

    assertThat(submit()).isEqualTo(ExitCode.OK);

    assertThat(vard.lines()).containsExactly("runs/run-1");
    assertThat(service.runs()).hasSize(1);
    assertThat(service.requests(CreateRunRequest.class)).hasSize(3).containsOnly(sent());
  }

  @Test
  void shouldTellHowToAskAgainWhenItGivesUp() {
    String id = UUID.randomUUID().toString();
    service.loseAnswers(Integer.MAX_VALUE);

    assertThat(submit("--request-id", id)).isEqualTo(ExitCode.FAILED);

    assertThat(sent().getRequestId()).isEqualTo(id);
    assertThat(vard.err())
        .contains("the same command with --request-id " + id + " gives its run")
        .contains("vard: no server answers at " + service.address());
  }

  @Test
  void shouldNotRepeatWhatWasRefused() {
    service.refuse(
        CreateRunRequest.class,
        FakeRunService.refusal(
            Code.RESOURCE_EXHAUSTED, "", "you have 100 runs that have not ended; cancel one"));

    assertThat(submit()).isEqualTo(ExitCode.FAILED);

    assertThat(vard.err().lines())
        .containsExactly("vard: you have 100 runs that have not ended; cancel one");
    assertThat(service.requests(CreateRunRequest.class)).hasSize(1);
  }

  @Test
  void shouldPrintTheRunAsJson() throws IOException {
    assertThat(submit("--json", "--priority", "3")).isEqualTo(ExitCode.OK);

    var run = new ObjectMapper().readTree(vard.out());
    assertThat(run.get("name").asText()).isEqualTo("runs/run-1");
    assertThat(run.get("state").asText()).isEqualTo("WAITING");
    assertThat(run.get("priority").asInt()).isEqualTo(3);
    assertThat(run.get("queue_position").asInt()).isZero();
  }

  @Test
  void shouldWatchTheRunToItsEndIfAsked() {
    String again = UUID.randomUUID().toString();
    submit("--request-id", again);
    service.tell("runs/run-1", Run.State.RUNNING);
    service.tell("runs/run-1", Run.State.FAILED);

    assertThat(submit("--request-id", again, "--watch")).isEqualTo(ExitCode.FAILED);

    assertThat(vard.lines()).hasSize(4);
    assertThat(vard.lines().getLast()).endsWith("#2     failed");
  }
}
