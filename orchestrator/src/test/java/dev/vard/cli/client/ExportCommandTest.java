package dev.vard.cli.client;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.cli.ExitCode;
import dev.vard.proto.v1.Run;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class ExportCommandTest {
  private static final String RUN = "runs/emoji-1";
  private static final String WEIGHTS = "weights of several chunks";

  @TempDir private Path folder;
  private FakeRunService service;
  private Vard vard;
  private Path out;

  @BeforeEach
  void start() throws IOException {
    service = new FakeRunService();
    service.put(
        Run.newBuilder()
            .setName(RUN)
            .setState(Run.State.RUNNING)
            .setIteration(3)
            .setIterations(16)
            .build());
    vard = new Vard(service.address());
    out = folder.resolve("deep/lora");
  }

  @AfterEach
  void end() {
    service.close();
  }

  private void finish() {
    service.file(RUN, "export/README.md", "card");
    service.file(RUN, "export/pytorch_lora_weights.safetensors", WEIGHTS);
    service.file(RUN, "report.html", "report");
    service.file(RUN, "samples/0004/0000.png", "png");
  }

  private int export(String... more) {
    String[] arguments = new String[more.length + 4];
    arguments[0] = "export";
    arguments[1] = "emoji-1";
    arguments[2] = "--out";
    arguments[3] = out.toString();
    System.arraycopy(more, 0, arguments, 4, more.length);
    return vard.run(arguments);
  }

  @Test
  void shouldBringTheLora() {
    finish();

    assertThat(export()).isEqualTo(ExitCode.OK);

    assertThat(vard.lines())
        .containsExactly(
            out.resolve("README.md").toString(),
            out.resolve("pytorch_lora_weights.safetensors").toString());
    assertThat(out.resolve("pytorch_lora_weights.safetensors")).hasContent(WEIGHTS);
    assertThat(out.toFile().list()).hasSize(2);
  }

  @Test
  void shouldBringTheFilesThatWereNamed() {
    finish();

    assertThat(export("--artifact", "report.html", "--artifact", "samples/0004/0000.png"))
        .isEqualTo(ExitCode.OK);

    assertThat(out.resolve("report.html")).hasContent("report");
    assertThat(out.resolve("samples/0004/0000.png")).hasContent("png");
    assertThat(out.toFile().list()).hasSize(2);
  }

  @Test
  void shouldTellTheChecksumsAsJson() throws IOException {
    finish();

    assertThat(export("--json")).isEqualTo(ExitCode.OK);

    var weights = new ObjectMapper().readTree(vard.out()).get("files").get(1);
    assertThat(weights.get("size_bytes").asInt()).isEqualTo(WEIGHTS.length());
    assertThat(weights.get("sha256").asText())
        .isEqualTo(FakeArtifacts.sha256(WEIGHTS.getBytes(StandardCharsets.UTF_8)));
  }

  @Test
  void shouldLeaveNothingBehindWhenAFileArrivesDamaged() {
    finish();
    service.damage(RUN, "export/pytorch_lora_weights.safetensors");

    assertThat(export()).isEqualTo(ExitCode.FAILED);

    assertThat(vard.err())
        .startsWith(
            "vard: runs/emoji-1/artifacts/export/pytorch_lora_weights.safetensors arrived damaged")
        .contains("try again");
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void shouldKeepWhatWasThereWhenAFileArrivesDamaged() throws IOException {
    finish();
    service.damage(RUN, "report.html");
    Files.createDirectories(out);
    Files.writeString(out.resolve("report.html"), "of yesterday");

    assertThat(export("--artifact", "report.html")).isEqualTo(ExitCode.FAILED);

    assertThat(out.resolve("report.html")).hasContent("of yesterday");
    assertThat(out.toFile().list()).hasSize(1);
  }

  @Test
  void shouldReplaceAnOlderFile() throws IOException {
    finish();
    Files.createDirectories(out);
    Files.writeString(out.resolve("README.md"), "of yesterday");

    assertThat(export()).isEqualTo(ExitCode.OK);

    assertThat(out.resolve("README.md")).hasContent("card");
  }

  @Test
  void shouldNotWriteOutsideOfItsFolderWhateverTheServerNames() {
    service.file(RUN, "export/../../../escaped", "evil");

    assertThat(export()).isEqualTo(ExitCode.FAILED);

    assertThat(vard.err()).contains("the server names a file outside of " + out);
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void shouldTellHowFarARunIsThatHasNoLoraYet() {
    assertThat(export()).isEqualTo(ExitCode.FAILED);

    assertThat(vard.err().lines())
        .containsExactly(
            "vard: runs/emoji-1 has no LoRA yet: it is running at iteration 3/16. `./vard watch"
                + " emoji-1` tells when it is done");
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void shouldTellWhichFileIsNotThere() {
    assertThat(export("--artifact", "report.html")).isEqualTo(ExitCode.FAILED);

    assertThat(vard.err()).contains("there is no file runs/emoji-1/artifacts/report.html");
    assertThat(folder).isEmptyDirectory();
  }
}
