package dev.vard.spec;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Runs that could learn nothing are told before they begin. */
class FeasibilityTest {
  private static final String DDPO = SpecFixture.SPEC.replace("vard", "ddpo");

  @TempDir private Path folder;
  private SpecFixture specs;

  @BeforeEach
  void makeFolder() {
    specs = new SpecFixture(folder);
  }

  private List<String> warnings(String text, String... overrides) {
    return Feasibility.warnings(specs.read(text, overrides)).stream()
        .map(Feasibility.Finding::toString)
        .toList();
  }

  @Test
  void shouldRefuseDdpoOnAChainWithoutNoise() {
    assertThat(specs.problems(DDPO, "sampler.eta=0"))
        .containsExactly(
            "--set sampler.eta=0: sampler.eta: 0 gives a chain without noise, and DDPO learns from"
                + " the noise alone; give a number above 0 (1 is as stochastic as DDPM), or"
                + " algorithm.kind: vard");
  }

  @Test
  void shouldRefuseABoundOnTheKlOfAChainWithoutNoise() {
    assertThat(specs.problems(SpecFixture.SPEC.replace("steps: 20", "eta: 0")))
        .containsExactly(
            "x.yaml:6: sampler.eta: 0 gives a chain without noise, where the KL to the pretrained"
                + " model is undefined and algorithm.kl.budget bounds nothing; give a number above"
                + " 0 (1 is as stochastic as DDPM), or algorithm.kl: {weight: 0}");
    assertThat(specs.problems(SpecFixture.SPEC, "sampler.eta=0", "algorithm.kl={weight: 0.02}"))
        .singleElement()
        .asString()
        .contains("algorithm.kl.weight does nothing");
  }

  @Test
  void shouldTakeAChainWithoutNoiseThatNothingIsAskedOfButWarn() {
    assertThat(warnings(SpecFixture.SPEC, "sampler.eta=0", "algorithm.kl={weight: 0}"))
        .containsExactly(
            "sampler.eta: 0 gives a chain without noise: the KL is shown as 0 whatever happens, and"
                + " nothing bounds how far the policy moves");
  }

  @Test
  void shouldIgnoreEtaWhereTheSamplerDoes() {
    assertThat(warnings(DDPO, "sampler={kind: ddpm, eta: 0}")).isEmpty();
  }

  @Test
  void shouldRefuseRewardsThatWeighNothing() {
    assertThat(specs.problems(SpecFixture.SPEC, "reward.weight=0"))
        .containsExactly(
            "--set reward.weight=0: reward.weight: with a weight of 0 all rewards are equal, and"
                + " equal rewards teach nothing; give another weight");
    assertThat(
            specs.problems(
                SpecFixture.SPEC,
                "reward={kind: sum, parts: [{kind: jpeg-compressibility, weight: 0}]}"))
        .singleElement()
        .asString()
        .contains("reward.parts: with a weight of 0");
  }

  @Test
  void shouldWarnOfAPartThatWeighsNothing() {
    assertThat(
            warnings(
                SpecFixture.SPEC,
                "reward={kind: sum, parts: [{kind: jpeg-compressibility},"
                    + " {kind: jpeg-incompressibility, name: seen, weight: 0}]}"))
        .containsExactly("reward.parts[1].weight: 0: seen is asked and shown, and changes nothing");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "vard | algorithm.policy.learning-rate=1e-9 | moves no weight by more than",
        "vard | algorithm.policy.learning-rate=0.5  | likely to ruin the model",
        "vard | algorithm.policy.max-gradient-norm=1e-9 | scales gradients down to nothing",
        "vard | algorithm.value.max-gradient-norm=1e-9  | scales gradients down to nothing",
        "vard | algorithm.kl.budget=1e-6    | let the pictures change hardly at all",
        "vard | algorithm.kl={weight: 2000} | lets the pictures change hardly at all",
        "vard | sampler.eta=0.001           | leaves hardly any noise",
        "ddpo | algorithm.clip=1e-12        | only the first step of each iteration learns",
        "ddpo | algorithm.advantage-clip=1e-6 | makes all advantages nearly 0"
      })
  void shouldWarnOfSettingsThatLearnNextToNothing(String kind, String setting, String told) {
    assertThat(warnings(SpecFixture.SPEC.replace("vard", kind), setting))
        .singleElement()
        .asString()
        .startsWith(setting.split("=")[0].replaceAll("kl$", "kl.weight") + ": ")
        .contains(told);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "algorithm.policy.steps=100000 | 100000 steps of batch 4096 are more than the 16777216",
        "algorithm.value.steps=100000  | 100000 steps of batch 4096 are more than the 16777216",
        "algorithm.value.width=12      | 12 is no multiple of 8; give 16",
        "algorithm.policy.batch=4097   | 4097 is above 4096",
        "algorithm.value.width=2048    | 2048 is above 1024"
      })
  void shouldRefuseWhatAWorkerWouldRefuseOnceQueriesArePaid(String setting, String told) {
    String text =
        SpecFixture.SPEC + "  value: {batch: 4096}\n  policy: {batch: 4096}\n  iterations: 4\n";

    assertThat(specs.problems(text, setting)).singleElement().asString().contains(told);
  }

  static Stream<Path> examples() throws Exception {
    try (Stream<Path> files = Files.list(Path.of(System.getenv("VARD_HOME"), "examples"))) {
      return files.filter(file -> file.toString().endsWith(".yaml")).toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("examples")
  void shouldFindNothingOddInTheExamples(Path example) {
    SpecReader reader = new SpecReader(Path.of(System.getenv("VARD_HOME")), 2);

    assertThat(Feasibility.warnings(reader.read(example, List.of()))).isEmpty();
  }
}
