package dev.vard.spec;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every name in a list does something. */
class SpecListTest {
  @TempDir private Path folder;
  private SpecFixture specs;

  @BeforeEach
  void makeFolder() {
    specs = new SpecFixture(folder);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "model.adapter.targets=[to_q, to_k, to_q] | item 3 is 'to_q' again, which does nothing;"
            + " give a list of module names",
        "model.adapter.targets=[to_q, ' ']  | item 2 is blank; give a list of module names",
        "prompts={list: [a cat, '']}        | item 2 is blank; give a list of prompts",
        "reward={kind: grpc, endpoints: ['a:1', 'a:1']} | item 2 is 'a:1' again, which does"
            + " nothing; give a list of host:port",
        "reward={kind: sum, parts: [{kind: jpeg-compressibility}, {kind: jpeg-compressibility}]} |"
            + " two parts are called jpeg-compressibility; give each a name of its own"
      })
  void shouldRefuseANameThatDoesNothing(String setting, String told) {
    assertThat(specs.problems(SpecFixture.SPEC, setting))
        .singleElement()
        .asString()
        .endsWith(": " + told);
  }

  @Test
  void shouldTakeAPromptTwiceToDrawItTwiceAsOften() {
    assertThat(specs.read(SpecFixture.SPEC, "prompts={list: [a cat, a cat, a dog]}").prompts())
        .containsExactly("a cat", "a cat", "a dog");
  }

  @ParameterizedTest
  @ValueSource(strings = {"class: cat", "index: 3"})
  void shouldRefuseAClassWhereTheMeanOfAllIsTaken(String which) {
    String onnx = "reward={kind: onnx, model: prompts.txt, output: {take: mean, " + which + "}}";

    assertThat(specs.problems(SpecFixture.SPEC, onnx))
        .singleElement()
        .asString()
        .endsWith("does nothing where the mean of all is taken; remove it");
  }

  @ParameterizedTest
  @ValueSource(strings = {"jva:example.Mine", "mine", "python:mine", "grpc:host", "ftp://host"})
  void shouldRefuseToAllowARewardThatCannotBe(String address) {
    assertThatThrownBy(() -> new Confinement(List.of(folder), false, 10, Set.of(address)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("'" + address + "' can match nothing");
  }
}
