package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class SpecCommandTest {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  private int vard(String... arguments) {
    return Main.execute(
        new Console(
            new PrintStream(out, true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8)),
        arguments);
  }

  @Test
  void shouldPrintTheSchemaAndNothingElse() throws Exception {
    assertThat(vard("spec", "--schema")).isEqualTo(ExitCode.OK);

    assertThat(out.toString(StandardCharsets.UTF_8))
        .isEqualTo(Files.readString(Path.of(System.getenv("VARD_HOME"), "docs/vard.schema.json")));
    assertThat(err.size()).isZero();
  }

  @Test
  void shouldSayWhatIsMissing() {
    assertThat(vard("spec")).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(err.toString(StandardCharsets.UTF_8)).contains("--schema");
  }
}
