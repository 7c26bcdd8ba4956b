package dev.vard.spec;

import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** A working directory with a model folder, a file of prompts, and one specification. */
final class SpecFixture {
  static final String SPEC =
      """
      name: emoji
      model:
        checkpoint: models/sd
      prompts: {file: prompts.txt}
      sampler:
        steps: 20
      reward: {kind: jpeg-compressibility}
      algorithm:
        kind: vard
      """;

  private final Path folder;

  SpecFixture(Path folder) {
    this.folder = folder;
    try {
      Files.createDirectories(folder.resolve("models/sd"));
      Files.writeString(folder.resolve("prompts.txt"), "# two\na cat\n\na dog\n");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  RunSpec read(String text, String... overrides) {
    Path file = Path.of("x.yaml");
    try {
      Files.writeString(folder.resolve(file), text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return reader().read(file, List.of(overrides));
  }

  SpecReader reader() {
    return new SpecReader(folder, 3);
  }

  /** The lines that a user would see. */
  List<String> problems(String text, String... overrides) {
    return exception(text, overrides).problems().stream().map(SpecProblem::toString).toList();
  }

  SpecException exception(String text, String... overrides) {
    return catchThrowableOfType(SpecException.class, () -> read(text, overrides));
  }
}
