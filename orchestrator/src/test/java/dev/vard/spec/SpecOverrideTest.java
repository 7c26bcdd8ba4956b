package dev.vard.spec;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SpecOverrideTest {
  @TempDir private Path folder;
  private SpecFixture specs;

  @BeforeEach
  void makeFolder() {
    specs = new SpecFixture(folder);
  }

  @Test
  void shouldReplaceAValue() {
    assertThat(specs.read(SpecFixture.SPEC, "sampler.steps=5").sampler().steps()).isEqualTo(5);
  }

  @Test
  void shouldMakeWhatIsNotThereYet() {
    RunSpec spec = specs.read(SpecFixture.SPEC, "model.adapter.rank=4", "algorithm.value.width=32");

    assertThat(spec.model().adapter().rank()).isEqualTo(4);
    assertThat(((AlgorithmSpec.VardSpec) spec.algorithm()).value().width()).hasValue(32);
  }

  @Test
  void shouldReadTheValueAsYaml() {
    RunSpec spec =
        specs.read(
            SpecFixture.SPEC,
            "model.adapter={rank: 2, targets: [to_q, to_k]}",
            "prompts={list: ['a=b']}");

    assertThat(spec.model().adapter()).isEqualTo(new AdapterSpec(2, 8.0, List.of("to_q", "to_k")));
    assertThat(spec.prompts()).containsExactly("a=b");
  }

  @Test
  void shouldRefuseAValueThatALaterOneReplaces() {
    assertThat(
            specs.problems(
                SpecFixture.SPEC,
                "seed=1",
                "model.adapter.rank=4",
                "seed=2",
                "model.adapter={rank: 2}"))
        .containsExactly(
            "--set seed=1: does nothing, for seed=2 comes later; remove one",
            "--set model.adapter.rank=4: does nothing, for model.adapter={rank: 2} comes later;"
                + " remove one");
  }

  @Test
  void shouldLetALaterOneChangePartOfASection() {
    RunSpec spec =
        specs.read(SpecFixture.SPEC, "model.adapter={rank: 2, alpha: 4}", "model.adapter.alpha=16");

    assertThat(spec.model().adapter().alpha()).isEqualTo(16);
    assertThat(spec.model().adapter().rank()).isEqualTo(2);
  }

  @Test
  void shouldNameTheOptionInErrors() {
    assertThat(
            specs.problems(
                SpecFixture.SPEC, "sampler.stesp=3", "sampler.steps=[", "steps", "seed="))
        .satisfiesExactly(
            one ->
                assertThat(one)
                    .isEqualTo(
                        "--set sampler.stesp=3: sampler.stesp: is no key of a specification; did"
                            + " you mean sampler.steps?"),
            two -> assertThat(two).startsWith("--set sampler.steps=[: this is not YAML: "),
            three ->
                assertThat(three)
                    .isEqualTo(
                        "--set steps: this sets nothing; give key=value, as sampler.steps=20"),
            four ->
                assertThat(four)
                    .isEqualTo(
                        "--set seed=: seed: nothing is given; give a whole number of at least 0"));
  }

  @Test
  void shouldSayHowToReplaceABudgetByAWeight() {
    String text = SpecFixture.SPEC + "  kl: {budget: 60.0}\n";

    assertThat(specs.problems(text, "algorithm.kl.weight=0.1"))
        .containsExactly(
            "--set algorithm.kl.weight=0.1: algorithm.kl: has both budget and weight; remove one"
                + " (on the command line, replace both: --set 'algorithm.kl={weight: 0.02}')");
    assertThat(specs.read(text, "algorithm.kl={weight: 0.02}").algorithm().kl())
        .isEqualTo(new KlSpec.KlWeight(0.02));
  }
}
