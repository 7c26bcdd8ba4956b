package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.FitValueRequest;
import dev.vard.run.FakeWorker;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A run that failed, and whose specification somebody edits before going on with it. */
class ResumeEditedTest {
  private static final String SPEC =
      """
      name: test
      model: {checkpoint: owner/name}
      prompts: {list: [a cat]}
      reward: {kind: jpeg-compressibility}
      algorithm: {kind: vard, iterations: 2, samples: 2, value: {warmup: 1}}
      evaluate: {images: 2}
      """;

  @TempDir private Path temp;
  private FakeWorker worker;
  private Path folder;
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  @BeforeEach
  void failARun() throws IOException {
    worker = new FakeWorker();
    folder = temp.resolve("run");
    Path specification = Files.writeString(temp.resolve("test.yaml"), SPEC);
    worker.refuse(FitValueRequest.class, ErrorCode.NOT_FINITE, "the loss is NaN");
    assertThat(
            vard(
                "run",
                specification.toString(),
                "--worker",
                worker.address(),
                "--out",
                folder.toString()))
        .isEqualTo(ExitCode.FAILED);
    worker.relent(FitValueRequest.class);
    err.reset();
  }

  @AfterEach
  void end() {
    worker.close();
  }

  private int vard(String... arguments) {
    Console console =
        new Console(
            new PrintStream(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8));
    return Main.execute(console, arguments);
  }

  private int resume(String... more) {
    String[] arguments = new String[more.length + 3];
    arguments[0] = "run";
    arguments[1] = "--resume";
    arguments[2] = folder.toString();
    System.arraycopy(more, 0, arguments, 3, more.length);
    return vard(arguments);
  }

  private String told() {
    return err.toString(StandardCharsets.UTF_8);
  }

  private Path edit(String name, String what, String by) throws IOException {
    Path file = folder.resolve(name);
    String text = Files.readString(file);
    assertThat(text).contains(what);
    return Files.writeString(file, text.replace(what, by));
  }

  @Test
  void shouldRefuseAnEditedSpecificationAndNameWhatWasChanged() throws IOException {
    Path file = edit("spec.yaml", "iterations: 2, samples: 2", "iterations: 20, samples: 3");

    assertThat(resume()).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(told().lines())
        .containsExactly(
            file
                + ": was edited since the run began (algorithm.iterations: 2 → 20;"
                + " algorithm.samples: 2 → 3), but a run goes on as it was begun; start a new run"
                + " (vard run "
                + file
                + "), or go on as before with --discard-edits, which sets the edited file aside as"
                + " spec.edited.yaml");
    assertThat(file).content().contains("iterations: 20");
  }

  @Test
  void shouldRefuseAnEditOfWhatTheSpecificationCameTo() throws IOException {
    Path file = edit("spec.resolved.yaml", "images: 2", "images: 64");

    assertThat(resume()).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(told()).startsWith(file + ": was edited").contains("evaluate.images: 2 → 64");
    assertThat(file).content().contains("images: 64");
  }

  @Test
  void shouldGoOnAsItWasBegunAndSetTheEditedFileAside() throws IOException {
    edit("spec.yaml", "iterations: 2", "iterations: 20");
    edit("spec.resolved.yaml", "images: 2", "images: 64");

    assertThat(resume("--discard-edits")).as(told()).isEqualTo(ExitCode.OK);

    assertThat(folder.resolve("spec.yaml")).hasContent(SPEC);
    assertThat(folder.resolve("spec.edited.yaml")).content().contains("iterations: 20");
    assertThat(folder.resolve("spec.resolved.yaml")).content().contains("images: 2");
    assertThat(folder.resolve("spec.resolved.edited.yaml")).content().contains("images: 64");
    assertThat(folder.resolve("metrics.jsonl")).content().contains("\"iterations\":2,");
  }

  @Test
  void shouldSayThatAnEditedFileIsNoYamlAnyMore() throws IOException {
    edit("spec.yaml", "{images: 2}", "{images: 2");

    assertThat(resume()).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(told()).contains("was edited since the run began (this is not YAML: ");
  }

  @Test
  void shouldNotMindCommentsAndLayout() throws IOException {
    Path file = edit("spec.yaml", "evaluate: {images: 2}", "# few\nevaluate:\n  images: 2");

    assertThat(resume()).as(told()).isEqualTo(ExitCode.OK);

    assertThat(file).content().contains("# few");
  }

  @Test
  void shouldNotTakeAnotherWorkerForAnEdit() throws IOException {
    try (FakeWorker other = new FakeWorker()) {
      other.refuse(FitValueRequest.class, ErrorCode.NOT_FINITE, "the loss is NaN");
      assertThat(resume("--worker", other.address())).isEqualTo(ExitCode.FAILED);
    }

    assertThat(resume()).as(told()).isEqualTo(ExitCode.OK);
  }

  @Test
  void shouldRefuseWhatWouldNotBeHeeded() {
    assertThat(resume("--set", "algorithm.iterations=4")).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(told())
        .contains(
            "--resume goes on with a run as it was begun, and would not heed --set"
                + " algorithm.iterations=4: leave that away, or start a new run (vard run "
                + folder.resolve("spec.yaml")
                + ")");
  }

  @Test
  void shouldRefuseToDiscardEditsOfNoRun() {
    assertThat(vard("run", "x.yaml", "--discard-edits")).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(told()).contains("--discard-edits belongs to --resume");
  }
}
