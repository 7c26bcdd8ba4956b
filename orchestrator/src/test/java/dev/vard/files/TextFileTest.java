package dev.vard.files;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecReader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TextFileTest {
  @TempDir private Path folder;

  @Test
  void shouldDropTheMarkAndAnyEndOfALine() throws Exception {
    Path file = Files.writeString(folder.resolve("a.txt"), "\uFEFFä\r\nb\rc\n\nd");

    assertThat(TextFile.read(file)).isEqualTo("ä\nb\nc\n\nd");
    assertThat(TextFile.lines(file)).containsExactly("ä", "b", "c", "", "d");
  }

  @Test
  void shouldRefuseWhatIsNotUtf8() throws Exception {
    Path file = Files.write(folder.resolve("a.txt"), "ä".getBytes(StandardCharsets.UTF_16));

    assertThatThrownBy(() -> TextFile.read(file)).isInstanceOf(CharacterCodingException.class);
  }

  @Test
  void shouldReadASpecificationAndPromptsOfAWindowsEditor() throws Exception {
    Files.writeString(folder.resolve("prompts.txt"), "\uFEFFein Häuschen\r\n猫\r\n");
    Path file =
        Files.writeString(
            folder.resolve("spec.yaml"),
            "\uFEFF"
                + """
                name: test
                model: {checkpoint: owner/name}
                prompts: {file: prompts.txt}
                reward: {kind: jpeg-compressibility}
                algorithm: {kind: vard}
                """
                    .replace("\n", "\r\n"));

    RunSpec spec = new SpecReader(folder, 1).read(file, List.of());

    assertThat(spec.prompts()).containsExactly("ein Häuschen", "猫");
  }
}
