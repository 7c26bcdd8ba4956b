package dev.vard.spec;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalDouble;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Values as people write them: they work, or the error says what to write. */
class SpecScalarTest {
  @TempDir private Path folder;
  private SpecFixture specs;

  @BeforeEach
  void makeFolder() {
    specs = new SpecFixture(folder);
  }

  @ParameterizedTest
  @CsvSource({
    "20, 20",
    "+20, 20",
    "0x14, 20",
    "0o24, 20",
    "2e1, 20",
    "20.0, 20",
    "2.0E+1, 20",
    "1, 1"
  })
  void shouldTakeWholeNumbers(String written, int steps) {
    assertThat(specs.read(SpecFixture.SPEC.replace("steps: 20", "steps: " + written)))
        .extracting(spec -> spec.sampler().steps())
        .isEqualTo(steps);
  }

  @ParameterizedTest
  @CsvSource({
    ".5, 0.5",
    "+.5, 0.5",
    "0.5, 0.5",
    "5e-1, 0.5",
    "5E-1, 0.5",
    "+5.e-1, 0.5",
    "1, 1.0",
    "0x1, 1.0"
  })
  void shouldTakeNumbers(String written, double eta) {
    assertThat(specs.read(SpecFixture.SPEC.replace("steps: 20", "eta: " + written)))
        .extracting(spec -> spec.sampler().eta())
        .isEqualTo(OptionalDouble.of(eta));
  }

  @ParameterizedTest
  @ValueSource(strings = {"true", "True", "TRUE"})
  void shouldTakeTruth(String written) {
    assertThat(specs.read(SpecFixture.SPEC, "reward.cache=" + written).reward().cache()).isTrue();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "sampler.steps=1_000 | '1_000' is text: write 1000; give a whole number from 1 to 1000",
        "sampler.steps=020   | 020 means other numbers in other versions of YAML: write 20, or"
            + " quotes around it if it is text; give a whole number from 1 to 1000",
        "sampler.steps=\"20\" | '20' is text: leave the quotes away; give a whole number from 1 to"
            + " 1000",
        "sampler.steps=2.5   | 2.5 is a number, but not a whole one in range; give a whole number from 1 to"
            + " 1000",
        "sampler.steps=1e999999999 | 1e999999999 is a number, but not a whole one in"
            + " range; give a whole number from 1 to 1000",
        "sampler.steps=.inf  | .inf is not finite; give a whole number from 1 to 1000",
        "sampler.steps=~     | nothing is given; give a whole number from 1 to 1000",
        "model.revision=~    | nothing is given, not text (quotes make it text); give a revision of"
            + " the hub",
        "sampler.eta=.nan    | .nan is not finite; give a number from 0 to 1.5",
        "sampler.eta=-.INF   | -.INF is not finite; give a number from 0 to 1.5",
        "reward.weight=1e999 | 1e999 is not finite; give a number",
        "reward.weight=1e39  | 1e39 is beyond what a 32-bit float can hold; give a number",
        "model.adapter.alpha=1e-50 | 1e-50 is nearer to 0 than a 32-bit float can be; give a number"
            + " above 0",
        "reward.cache=yes    | 'yes' is text; give true or false"
      })
  void shouldSayWhatToWrite(String setting, String told) {
    assertThat(specs.problems(SpecFixture.SPEC, setting))
        .singleElement()
        .asString()
        .endsWith(": " + setting.split("=")[0] + ": " + told);
  }

  @Test
  void shouldReadAFileThatBeginsWithAByteOrderMark() {
    assertThat(specs.read("\uFEFF" + SpecFixture.SPEC).name()).isEqualTo("emoji");
  }

  @Test
  void shouldLeaveAByteOrderMarkAndCarriageReturnsOutOfPrompts() throws Exception {
    Files.writeString(folder.resolve("prompts.txt"), "\uFEFFa cat\r\n\r\na dog\r\n");

    assertThat(specs.read(SpecFixture.SPEC).prompts()).containsExactly("a cat", "a dog");
  }

  @Test
  void shouldNameThePlaceOfAPromptThatIsTooLong() throws Exception {
    String most = "é".repeat(10_000);
    Files.writeString(folder.resolve("prompts.txt"), "a cat\n\n" + most + "\n" + most + "x\n");

    assertThat(specs.problems(SpecFixture.SPEC))
        .containsExactly(
            folder.resolve("prompts.txt")
                + ":4: prompts.file: the prompt has 10001 characters; give at most 10000, of which"
                + " a text encoder reads some 77 tokens");
    assertThat(
            specs.problems(
                SpecFixture.SPEC.replace(
                    "{file: prompts.txt}", "{list: [a, " + "😀".repeat(10_001) + "]}")))
        .containsExactly(
            "x.yaml:4: prompts.list: item 2 has 10001 characters, and 10000 are the most; give a"
                + " list of prompts");
  }

  /** The YAML library's reader stumbles over a pair of surrogates across two of its buffers. */
  @Test
  void shouldTakeEmojiAtEveryPlace() {
    for (String before : new String[] {"a", "ab"}) {
      String prompt = before + "😀".repeat(3_000);

      assertThat(
              specs
                  .read(SpecFixture.SPEC.replace("{file: prompts.txt}", "{list: [" + prompt + "]}"))
                  .prompts())
          .containsExactly(prompt);
    }
  }

  @Test
  void shouldTakeAPromptOfTheMostCharacters() throws Exception {
    Files.writeString(folder.resolve("prompts.txt"), "😀".repeat(10_000));

    assertThat(specs.read(SpecFixture.SPEC).prompts()).hasSize(1);
  }
}
