package dev.vard.serve;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.groups.Tuple.tuple;

import dev.vard.serve.Runs.ArtifactView;
import dev.vard.serve.Runs.Content;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RunFilesTest {
  @TempDir private Path folder;
  private Path run;
  private RunFiles files;

  @BeforeEach
  void makeFiles() throws IOException {
    run = Files.createDirectories(folder.resolve("runs/mine"));
    files = new RunFiles(run);
    write("runs/mine/samples/0004/0000.png", "picture");
    write("runs/mine/metrics.jsonl", "{}\n");
    write("runs/mine/export/pytorch_lora_weights.safetensors", "weights");
    write("runs/mine/.spec.resolved.yaml.part", "half");
    write("runs/mine/checkpoints/.0004.part/policy.safetensors", "half");
    write("runs/yours/metrics.jsonl", "secret");
    write("secret.txt", "secret");
  }

  private Path write(String path, String text) throws IOException {
    Path file = folder.resolve(path);
    Files.createDirectories(file.getParent());
    return Files.writeString(file, text);
  }

  @Test
  void shouldListWhatIsFinished() throws IOException {
    assertThat(files.list())
        .extracting(ArtifactView::path, ArtifactView::bytes, ArtifactView::contentType)
        .containsExactly(
            tuple("export/pytorch_lora_weights.safetensors", 7L, "application/octet-stream"),
            tuple("metrics.jsonl", 3L, "application/x-ndjson"),
            tuple("samples/0004/0000.png", 7L, "image/png"));
  }

  @Test
  void shouldListNothingOfARunThatDidNotBegin() throws IOException {
    assertThat(new RunFiles(folder.resolve("runs/new")).list()).isEmpty();
  }

  @Test
  void shouldNotListWhatLinksLeadTo() throws IOException {
    Files.createSymbolicLink(run.resolve("way-out"), folder);
    Files.createSymbolicLink(run.resolve("secret.txt"), folder.resolve("secret.txt"));

    assertThat(files.list()).hasSize(3);
  }

  @Test
  void shouldOpenAFileAsItIs() throws IOException {
    try (Content content = files.open("metrics.jsonl").orElseThrow()) {
      Files.writeString(run.resolve("metrics.jsonl"), "more\n", StandardOpenOption.APPEND);

      assertThat(content.artifact().bytes()).isEqualTo(3);
      assertThat(new String(content.bytes().readAllBytes(), UTF_8)).isEqualTo("{}\n");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        ".",
        "..",
        "/",
        "../yours/metrics.jsonl",
        "samples/../../yours/metrics.jsonl",
        "samples/../metrics.jsonl",
        "./metrics.jsonl",
        "samples//0004/0000.png",
        "metrics.jsonl/",
        "samples",
        "missing",
        ".spec.resolved.yaml.part",
        "checkpoints/.0004.part/policy.safetensors",
        "metrics.jsonl\u0000",
        "/etc/passwd"
      })
  void shouldOpenNothingElse(String path) throws IOException {
    assertThat(files.open(path)).isEmpty();
  }

  @Test
  void shouldOpenNothingOverALink() throws IOException {
    Files.createSymbolicLink(run.resolve("way-out"), folder);
    Files.createSymbolicLink(run.resolve("secret.txt"), folder.resolve("secret.txt"));
    Files.createSymbolicLink(run.resolve("again"), run.resolve("samples"));

    assertThat(files.open("way-out/secret.txt")).isEmpty();
    assertThat(files.open("secret.txt")).isEmpty();
    assertThat(files.open("again/0004/0000.png")).isEmpty();
  }

  @Test
  void shouldServeRunsUnderALinkedRoot() throws IOException {
    Path link = Files.createSymbolicLink(folder.resolve("linked"), folder.resolve("runs"));

    try (Content content =
        new RunFiles(link.resolve("mine")).open("samples/0004/0000.png").orElseThrow()) {
      assertThat(content.bytes()).hasBinaryContent("picture".getBytes(UTF_8));
    }
  }

  @Test
  void shouldRemoveADeletedRunAndNoOther() throws IOException {
    Files.createSymbolicLink(run.resolve("way-out"), folder.resolve("runs/yours"));
    RunFolders folders = new RunFolders(folder.resolve("runs"));

    folders.doom("mine");
    folders.delete("mine");

    assertThat(run).doesNotExist();
    assertThat(folder.resolve("runs/yours/metrics.jsonl")).exists();
    assertThat(folder.resolve("runs/.deleted")).isEmptyDirectory();
  }

  @Test
  void shouldEndAtStartWhatACrashLeft() throws IOException {
    RunFolders folders = new RunFolders(folder.resolve("runs"));
    folders.doom("mine");
    folders.doom("yours");

    folders.sweep("yours"::equals);

    assertThat(run).doesNotExist();
    assertThat(folder.resolve("runs/yours")).exists();
    assertThat(folder.resolve("runs/.deleted")).isEmptyDirectory();
  }
}
