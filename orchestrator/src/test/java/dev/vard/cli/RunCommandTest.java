package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.FitValueRequest;
import dev.vard.run.FakeWorker;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The command against a real gRPC server with a worker of few lines behind it. */
@Timeout(120)
class RunCommandTest {
  private static final String SPEC =
      """
      name: test
      model: {checkpoint: owner/name}
      prompts: {list: [a cat]}
      reward: {kind: jpeg-compressibility}
      algorithm: {kind: vard, iterations: 2, samples: 2, value: {warmup: 1}}
      evaluate: {images: 2}
      """;

  @TempDir private Path folder;
  private FakeWorker worker;
  private Path specification;
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  @BeforeEach
  void start() throws IOException {
    worker = new FakeWorker();
    specification = Files.writeString(folder.resolve("test.yaml"), SPEC);
  }

  @AfterEach
  void end() {
    worker.close();
  }

  private int run(String... more) {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "run",
                specification.toString(),
                "--worker",
                worker.address(),
                "--out",
                folder.resolve("run").toString()));
    arguments.addAll(Arrays.asList(more));
    return vard(arguments.toArray(String[]::new));
  }

  private int vard(String... arguments) {
    Console console =
        new Console(
            new PrintStream(out, true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8));
    return Main.execute(console, arguments);
  }

  /** The command in a process of its own; what it says goes to {@link #told}. */
  private Process start(String... arguments) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                "dev.vard.cli.Main",
                "run"));
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(folder.resolve("told").toFile())
        .start();
  }

  private String told() throws IOException {
    return Files.readString(folder.resolve("told"));
  }

  private static String text(ByteArrayOutputStream stream) {
    return stream.toString(StandardCharsets.UTF_8);
  }

  @Test
  void shouldRunAndPrintATable() throws IOException {
    assertThat(run()).isEqualTo(ExitCode.OK);

    assertThat(text(out)).contains("reward before", "reward after", "report.html");
    assertThat(folder.resolve("run/spec.yaml")).hasContent(SPEC);
    assertThat(folder.resolve("run/spec.resolved.yaml")).content().contains("images: 2");
  }

  @Test
  void shouldPrintOneLineOfJsonAlone() throws IOException {
    assertThat(run("--json")).isEqualTo(ExitCode.OK);

    List<String> lines = text(out).lines().toList();
    assertThat(lines).hasSize(1);
    JsonNode result = new ObjectMapper().readTree(lines.getFirst());
    assertThat(result.fieldNames())
        .toIterable()
        .containsExactly(
            "run_id",
            "iterations",
            "reward_queries",
            "evaluation_queries",
            "reward_before",
            "reward_after",
            "kl_per_trajectory",
            "seconds",
            "export",
            "export_sha256");
    assertThat(result.get("reward_before").fieldNames())
        .toIterable()
        .containsExactly("mean", "low", "high");
    assertThat(result.get("seconds").fieldNames())
        .toIterable()
        .contains("sample", "score", "value", "policy", "total");
    assertThat(text(err)).contains("reward before");
  }

  @Test
  void shouldPlanWithoutBeginningARun() throws IOException {
    assertThat(run("--plan", "--json", "--set", "algorithm.policy.micro-batch=3"))
        .isEqualTo(ExitCode.OK);

    JsonNode plan = new ObjectMapper().readTree(text(out));
    assertThat(plan.get("training_queries").asInt()).isEqualTo(4);
    assertThat(plan.get("evaluation_queries").asInt()).isEqualTo(4);
    assertThat(plan.get("memory").get("peak").asInt()).isEqualTo(3000);
    assertThat(folder.resolve("run")).doesNotExist();
  }

  @Test
  void shouldPrintAPlanAsATable() {
    assertThat(run("--plan")).isEqualTo(ExitCode.OK);

    assertThat(text(out))
        .contains("reward queries     4 for training, 4 for evaluation", "as computed");
  }

  @Test
  void shouldOverrideKeys() throws IOException {
    assertThat(run("--json", "--set", "algorithm.iterations=3", "--set", "algorithm.samples=5"))
        .isEqualTo(ExitCode.OK);

    assertThat(new ObjectMapper().readTree(text(out)).get("reward_queries").asInt()).isEqualTo(15);
  }

  @Test
  void shouldTellAllThatIsWrongWithASpecification() {
    assertThat(run("--set", "sampler.steps=0", "--set", "seed=x")).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(text(err).lines())
        .containsExactly(
            "--set sampler.steps=0: sampler.steps: 0 is below 1; give a whole number from 1 to"
                + " 1000",
            "--set seed=x: seed: 'x' is text; give a whole number of at least 0");
    assertThat(text(out)).isEmpty();
    assertThat(folder.resolve("run")).doesNotExist();
  }

  @Test
  void shouldRefuseARewardThatOnlyAProgramCanBring() {
    assertThat(run("--set", "reward={kind: supplied}")).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(text(err)).contains("reward.kind: supplied needs a Java program");
  }

  @Test
  void shouldRefuseAFolderInUse() throws IOException {
    Files.createDirectories(folder.resolve("run/samples"));

    assertThat(run()).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(text(err).lines())
        .containsExactly(
            "vard: --out "
                + folder.resolve("run")
                + ": the folder holds something already; name a new one");
  }

  @Test
  void shouldTellAFailureInPlainSentences() {
    worker.refuse(FitValueRequest.class, ErrorCode.OUT_OF_MEMORY, "give a smaller value.batch");

    assertThat(run()).isEqualTo(ExitCode.FAILED);

    assertThat(text(err).lines())
        .containsExactly(
            "vard: while fitting the value in iteration 1: give a smaller value.batch: 4 attempts"
                + " came no further; look into the log of the worker at "
                + worker.address(),
            "vard: what the run wrote is in " + folder.resolve("run"),
            "vard: to go on with it: vard run --resume " + folder.resolve("run"));
  }

  @Test
  void shouldPrintACommandThatAShellTakesWhereAFolderHasSpaces() throws Exception {
    Path spaced = folder.resolve("it's a run");
    worker.refuse(FitValueRequest.class, ErrorCode.OUT_OF_MEMORY, "give a smaller value.batch");

    assertThat(
            vard(
                "run",
                specification.toString(),
                "--worker",
                worker.address(),
                "--out",
                spaced.toString()))
        .isEqualTo(ExitCode.FAILED);

    String last = text(err).lines().toList().getLast();
    Process shell =
        new ProcessBuilder(
                "sh",
                "-c",
                "vard() { for word; do echo \"$word\"; done; }; "
                    + last.substring(last.indexOf("vard run")))
            .start();
    assertThat(new String(shell.getInputStream().readAllBytes(), StandardCharsets.UTF_8).lines())
        .containsExactly("run", "--resume", spaced.toString());
  }

  @Test
  void shouldHintAtTheHelpForAStrayArgument() {
    assertThat(vard("run", "test.yaml", "stray")).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(text(err).lines())
        .containsExactly(
            "vard: Unmatched argument at index 2: 'stray'", "vard: see vard run --help");
  }

  @Test
  void shouldHelpWithACommand() {
    assertThat(vard("help", "run")).isEqualTo(ExitCode.OK);

    assertThat(text(out)).startsWith("Usage: vard run ").contains("--resume");
  }

  @Test
  void shouldGoOnWithARunThatFailed() throws IOException {
    worker.refuse(FitValueRequest.class, ErrorCode.OUT_OF_MEMORY, "give a smaller value.batch");
    run();
    worker.relent(FitValueRequest.class);

    assertThat(vard("run", "--resume", folder.resolve("run").toString(), "--json"))
        .as(text(err))
        .isEqualTo(ExitCode.OK);

    JsonNode result = new ObjectMapper().readTree(text(out));
    assertThat(result.get("reward_queries").asInt()).isEqualTo(4);
    assertThat(Files.readAllLines(folder.resolve("run/rewards.jsonl")))
        .as("each query asked and answered once: two evaluations and two iterations of two images")
        .hasSize(2 * 8);
  }

  /** A link to {@code /dev/full} is a file on a disk that has no room. */
  @ParameterizedTest
  @ValueSource(strings = {".metrics.jsonl.part", "rewards.jsonl"})
  void shouldPauseAndGoOnByItselfWhenTheDiskIsFullForAWhile(String file) throws Exception {
    worker.refuse(FitValueRequest.class, ErrorCode.OUT_OF_MEMORY, "give a smaller value.batch");
    run();
    worker.relent(FitValueRequest.class);
    Path full = folder.resolve("run").resolve(file);
    Files.deleteIfExists(full);
    Files.createSymbolicLink(full, Path.of("/dev/full"));

    Process process = start("--resume", folder.resolve("run").toString());
    try {
      while (!told().contains("No space left on device")) {
        assertThat(process.waitFor(20, TimeUnit.MILLISECONDS)).as(told()).isFalse();
      }
      Files.delete(full);

      assertThat(process.waitFor()).as(told()).isZero();
    } finally {
      process.destroyForcibly();
    }
    assertThat(told()).doesNotContain("Exception");
    assertThat(Files.readAllLines(folder.resolve("run/metrics.jsonl")).getLast()).contains("DONE");
  }

  @Test
  void shouldSayThatAnotherProcessHasTheRun() throws Exception {
    Path kept = folder.resolve("run");
    worker.stickInSampling();
    Process process =
        start(specification.toString(), "--worker", worker.address(), "--out", kept.toString());
    try {
      worker.awaitStuck();

      assertThat(vard("run", "--resume", kept.toString())).isEqualTo(ExitCode.FAILED);

      assertThat(text(err))
          .isEqualTo(
              "vard: another vard, process %d, has the run in %s: wait for its end, or stop it first\n"
                  .formatted(process.pid(), kept));
    } finally {
      process.destroyForcibly();
    }
  }

  @Test
  void shouldSayThatARunIsDone() {
    run();

    assertThat(vard("run", "--resume", folder.resolve("run").toString())).isEqualTo(ExitCode.OK);

    assertThat(text(err)).contains("the run has reached its end", "report.html");
  }

  @Test
  void shouldRefuseToGoOnWhereNoRunWasKept() {
    assertThat(vard("run", "--resume", folder.toString())).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(text(err)).contains("no run was kept there; name the folder of a run");
  }

  @Test
  void shouldKeepNothingOfAnEphemeralRun() {
    assertThat(run("--ephemeral")).isEqualTo(ExitCode.OK);

    assertThat(folder.resolve("run/run.mv.db")).doesNotExist();
    assertThat(folder.resolve("run/checkpoints")).isEmptyDirectory();
  }

  @Test
  void shouldPrintTheTraceIfAsked() {
    worker.refuse(FitValueRequest.class, ErrorCode.OUT_OF_MEMORY, "give a smaller value.batch");

    assertThat(run("--verbose")).isEqualTo(ExitCode.FAILED);

    assertThat(text(err)).contains("\tat dev.vard.run.RunEngine");
  }

  @Test
  void shouldFailWithoutAWorker() {
    worker.close();

    assertThat(run()).isEqualTo(ExitCode.FAILED);

    assertThat(text(err)).startsWith("vard: while opening the model: ").doesNotContain("\tat ");
  }

  @Test
  void shouldAskForACommand() {
    assertThat(vard()).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(text(err)).contains("a command is missing", "run", "doctor");
  }

  @Test
  void shouldAskForASpecification() {
    assertThat(vard("run")).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(text(err).lines()).containsExactly("vard: give a SPEC, or --resume DIR");
  }

  @Test
  void shouldExplainItself() {
    assertThat(vard("run", "--help")).isEqualTo(ExitCode.OK);

    assertThat(text(out)).contains("--set", "--json", "--out", "--worker", "Exit codes:");
  }
}
