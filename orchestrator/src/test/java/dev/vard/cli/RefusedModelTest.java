package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.worker.TinyModel;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What the command says when a real worker process refuses a real checkpoint, or a key of it. */
@Timeout(120)
class RefusedModelTest {
  private static final String SPEC =
      """
      name: tiny
      model: {checkpoint: %s, adapter: {rank: 2, targets: [to_q, to_kk]}}
      prompts: {list: [a cat]}
      sampler: {steps: 2}
      reward: {kind: jpeg-compressibility}
      algorithm: {kind: ddpo, samples: 2}
      threads: 1
      """;

  @TempDir private Path folder;
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  private int run() throws IOException {
    Path specification =
        Files.writeString(folder.resolve("test.yaml"), SPEC.formatted(TinyModel.folder()));
    Console console =
        new Console(
            new PrintStream(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8));
    return Main.execute(
        console, "run", specification.toString(), "--out", folder.resolve("run").toString());
  }

  @Test
  void shouldNameTheKeyOnce() throws IOException {
    assertThat(run()).isEqualTo(ExitCode.FAILED);

    assertThat(err.toString(StandardCharsets.UTF_8).lines())
        .filteredOn(line -> line.contains("model.adapter.targets"))
        .singleElement()
        .asString()
        .containsOnlyOnce("model.adapter.targets")
        .contains("while opening the model: model.adapter.targets: to_kk matches no module")
        .contains("did you mean to_k");
  }
}
