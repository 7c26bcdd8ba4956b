package dev.vard.spec;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SpecWriterTest {
  @TempDir private Path folder;
  private SpecFixture specs;

  @BeforeEach
  void makeFolder() {
    specs = new SpecFixture(folder);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "seed=9223372036854775807",
        "algorithm.value.width=16",
        "algorithm.kl={weight: 0.02}",
        "reward={kind: jpeg-incompressibility, quality: 10}",
        "reward={kind: supplied}",
        "algorithm={kind: ddpo, advantage-clip: 4}",
        "model.revision=fp16",
        "worker=gpu:7777",
        "prompts={list: ['12', 'true', \"it's: # odd\", 'two\\nlines']}",
        "prompts={list: ['~', 'NULL', 'TRUE', '.5', '+3', '0x1F', '0o7', '007', '.inf', 'yes', '=']}"
      })
  void shouldWriteWhatReadsAsTheSameSpecification(String override) {
    RunSpec spec = specs.read(SpecFixture.SPEC, override);

    assertThat(specs.read(SpecWriter.write(spec))).isEqualTo(spec);
  }

  @Test
  void shouldWriteUnconditionalModelsWithoutPrompts() {
    RunSpec spec = specs.read(SpecFixture.SPEC.replace("prompts: {file: prompts.txt}\n", ""));

    assertThat(specs.read(SpecWriter.write(spec))).isEqualTo(spec);
  }
}
