package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.worker.TinyModel;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
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

  private int run(Path model, String... more) throws IOException {
    Path specification = Files.writeString(folder.resolve("test.yaml"), SPEC.formatted(model));
    Console console =
        new Console(
            new PrintStream(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8));
    List<String> arguments =
        new ArrayList<>(
            List.of("run", specification.toString(), "--out", folder.resolve("run").toString()));
    arguments.addAll(List.of(more));
    return Main.execute(console, arguments.toArray(String[]::new));
  }

  @Test
  void shouldNameTheKeyOnce() throws IOException {
    assertThat(run(TinyModel.folder())).isEqualTo(ExitCode.FAILED);

    assertThat(err.toString(StandardCharsets.UTF_8).lines())
        .filteredOn(line -> line.contains("model.adapter.targets"))
        .singleElement()
        .asString()
        .containsOnlyOnce("model.adapter.targets")
        .contains("while opening the model: model.adapter.targets: to_kk matches no module")
        .contains("did you mean to_k");
  }

  @Test
  void shouldNameTheWeightThatIsNotANumberBeforeAnythingIsAsked() throws IOException {
    Path model = TinyModel.withNan(folder.resolve("model"));

    assertThat(run(model, "--set", "model.adapter.targets=[to_q]")).isEqualTo(ExitCode.FAILED);

    assertThat(err.toString(StandardCharsets.UTF_8))
        .containsPattern("while opening the model: model.checkpoint: .*: vae: [a-z_.0-9]+ has NaN");
    assertThat(folder.resolve("run/rewards.jsonl"))
        .satisfiesAnyOf(
            file -> assertThat(file).doesNotExist(), file -> assertThat(file).isEmptyFile());
    assertThat(folder.resolve("run/export")).doesNotExist();
  }
}
