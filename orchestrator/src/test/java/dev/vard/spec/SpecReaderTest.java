package dev.vard.spec;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assertions.tuple;

import dev.vard.spec.AlgorithmSpec.DdpoSpec;
import dev.vard.spec.AlgorithmSpec.VardSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SpecReaderTest {
  @TempDir private Path folder;
  private SpecFixture specs;

  @BeforeEach
  void makeFolder() {
    specs = new SpecFixture(folder);
  }

  @Test
  void shouldFillInEveryDefault() {
    RunSpec spec = specs.read(SpecFixture.SPEC);

    assertThat(spec)
        .isEqualTo(
            new RunSpec(
                "emoji",
                7,
                new ModelSpec(
                    folder.resolve("models/sd").toAbsolutePath().toString(),
                    "",
                    "auto",
                    ModelSpec.DType.FLOAT32,
                    new AdapterSpec(8, 8.0, List.of())),
                List.of("a cat", "a dog"),
                new SamplerSpec(
                    SamplerSpec.Kind.AUTO,
                    20,
                    3.0,
                    OptionalDouble.empty(),
                    16,
                    TrajectoriesSpec.PLAIN),
                RewardSpec.of(new RewardSource.JpegCompressibility(95)),
                new VardSpec(
                    16,
                    32,
                    0,
                    new ValueSpec(
                        ValueSpec.Kind.CONV,
                        ValueSpec.Input.STATE,
                        true,
                        OptionalInt.empty(),
                        2,
                        40,
                        128,
                        1.0e-3,
                        8,
                        1.0,
                        0,
                        OptionalInt.empty()),
                    new PolicySpec(10, 32, 5.0e-4, 1.0, 1.0),
                    new KlSpec.KlBudget(60.0)),
                new EvaluateSpec(4, 64),
                OptionalLong.empty(),
                new CheckpointSpec(1, 3),
                "local",
                3));
  }

  @Test
  void shouldReadDdpo() {
    RunSpec spec = specs.read(SpecFixture.SPEC.replace("vard", "ddpo"), "algorithm.kl={weight: 0}");

    assertThat(spec.algorithm())
        .isEqualTo(
            new DdpoSpec(
                16,
                32,
                0,
                new PolicySpec(10, 32, 5.0e-4, 1.0, 1.0),
                new KlSpec.KlWeight(0),
                1.0e-4,
                5.0));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "emoji-compressibility",
        "emoji-incompressibility",
        "emoji-ddpo",
        "emoji-python",
        "emoji-category",
        "emoji-grpc",
        "emoji-http",
        "emoji-sum"
      })
  void shouldReadTheExamples(String name) {
    SpecReader reader = new SpecReader(Path.of(System.getenv("VARD_HOME")), 2);

    RunSpec spec = reader.read(Path.of("examples", name + ".yaml"), List.of());

    assertThat(spec.name()).isEqualTo(name);
    assertThat(spec.prompts()).hasSizeGreaterThan(3).noneMatch(prompt -> prompt.startsWith("#"));
  }

  @Test
  void shouldTellAllErrorsAtOnceInTheOrderOfTheFile() {
    String text =
        """
        nmae: emoji
        seed: -1
        model: {checkpoint: models/none, dtype: float8, adapter: {rank: 8.5}}
        prompts: {file: none.txt}
        sampler:
          steps: 0
          guidance: high
          eta: .nan
        reward: {kind: jpeg-compressibilty, quality: 101}
        algorithm:
          kind: vard
          iterations: 2
          clip: 0.1
          kl: {budget: 60, weight: 0.1}
        evaluate: 4
        steps: 3
        """;

    assertThat(specs.problems(text, "worker=nowhere", "sampler.batch=0"))
        .containsExactly(
            "x.yaml: name: is missing; give at most 48 letters, digits, '.', '_' and '-'",
            "x.yaml:1: nmae: is no key of a specification; did you mean name?",
            "x.yaml:2: seed: -1 is below 0; give a whole number of at least 0",
            "x.yaml:3: model.dtype: 'float8' is unknown; give float32 or bfloat16",
            "x.yaml:3: model.adapter.rank: 8.5 is a number, but not a whole one in range;"
                + " give a whole number from 1 to 1024",
            "x.yaml:3: model.checkpoint: there is no folder 'models/none' in the working directory;"
                + " give a folder in diffusers format or a hub id",
            "x.yaml:4: prompts.file: there is no file 'none.txt' in the working directory; give a"
                + " text file with a prompt a line",
            "x.yaml:6: sampler.steps: 0 is below 1; give a whole number from 1 to 1000",
            "x.yaml:7: sampler.guidance: 'high' is text; give a number from 1 to 100",
            "x.yaml:8: sampler.eta: .nan is not finite; give a number from 0 to 1.5",
            "x.yaml:9: reward.kind: 'jpeg-compressibilty' is unknown; give jpeg-compressibility,"
                + " jpeg-incompressibility, java, onnx, grpc,"
                + " http, python, sum or supplied",
            "x.yaml:9: reward.quality: 101 is above 100; give a whole number from 1 to 100",
            "x.yaml:12: algorithm.iterations: a warm-up of 2 leaves none of 2 iterations to improve"
                + " the policy; give fewer for algorithm.value.warmup, or more for"
                + " algorithm.iterations",
            "x.yaml:13: algorithm.clip: belongs to algorithm.kind: ddpo only; remove it, or change"
                + " the kind",
            "x.yaml:14: algorithm.kl: has both budget and weight; remove one (on the command line,"
                + " replace both: --set 'algorithm.kl={weight: 0.02}')",
            "x.yaml:15: evaluate: 4 is a number; give a mapping of every, images",
            "x.yaml:16: steps: is no key of a specification; did you mean sampler.steps or"
                + " algorithm.value.steps or algorithm.policy.steps?",
            "--set worker=nowhere: worker: 'nowhere' does not fit; give local, embedded or"
                + " host:port",
            "--set sampler.batch=0: sampler.batch: 0 is below 1; give a whole number from 1 to"
                + " 4096");
  }

  @Test
  void shouldNameEverythingThatIsMissing() {
    assertThat(specs.exception("").problems())
        .extracting(SpecProblem::code, SpecProblem::path)
        .containsExactly(
            tuple(SpecProblem.Code.MISSING_KEY, "name"),
            tuple(SpecProblem.Code.MISSING_KEY, "model.checkpoint"),
            tuple(SpecProblem.Code.MISSING_KEY, "reward.kind"),
            tuple(SpecProblem.Code.MISSING_KEY, "algorithm.kind"));
  }

  @Test
  void shouldRefuseWhatIsNoYaml() {
    assertThat(specs.problems("name: emoji\nmodel: {checkpoint: a\nseed: 3\n"))
        .singleElement()
        .asString()
        .startsWith("x.yaml:3: this is not YAML: ");
  }

  @Test
  void shouldRefuseAListInPlaceOfASpecification() {
    assertThat(specs.problems("- name\n"))
        .contains("x.yaml:1: a list is given; give keys and values");
  }

  @Test
  void shouldRefuseAKeyGivenTwice() {
    assertThat(specs.problems(SpecFixture.SPEC + "seed: 1\nname: again\n"))
        .containsExactly("x.yaml:11: name: is given twice, first at x.yaml:1; remove one");
  }

  @Test
  void shouldRefuseANumberInPlaceOfText() {
    assertThat(specs.problems(SpecFixture.SPEC.replace("name: emoji", "name: 12")))
        .containsExactly(
            "x.yaml:1: name: 12 is a number, not text (quotes make it text); give at most 48"
                + " letters, digits, '.', '_' and '-'");
  }

  @Test
  void shouldRefuseAKeyWithoutAValue() {
    assertThat(specs.problems(SpecFixture.SPEC.replace("steps: 20", "steps:")))
        .containsExactly(
            "x.yaml:6: sampler.steps: nothing is given; give a whole number from 1 to 1000");
  }

  @Test
  void shouldRefuseAnEmptyKlSection() {
    assertThat(specs.problems(SpecFixture.SPEC + "  kl: {}\n"))
        .containsExactly("x.yaml:10: algorithm.kl: has neither budget nor weight; give one");
  }

  @Test
  void shouldRefuseTwoSourcesOfPrompts() {
    assertThat(specs.problems(SpecFixture.SPEC, "prompts.list=[a]"))
        .containsExactly("x.yaml:4: prompts: has both file and list; remove one");
  }

  @Test
  void shouldRefuseAFileWithoutPrompts() throws Exception {
    Files.writeString(folder.resolve("prompts.txt"), "# none\n\n");

    assertThat(specs.problems(SpecFixture.SPEC))
        .containsExactly(
            "x.yaml:4: prompts.file: 'prompts.txt' holds no prompt; give a text file with a prompt"
                + " a line");
  }

  @Test
  void shouldRefuseItemsThatAreNoPrompts() {
    String text = SpecFixture.SPEC.replace("{file: prompts.txt}", "{list: [a, 3]}");

    assertThat(specs.problems(text))
        .containsExactly(
            "x.yaml:4: prompts.list: item 2: 3 is a number, not text (quotes make it text); give a"
                + " list of prompts");
  }

  @Test
  void shouldSampleWithoutGuidanceWhereThereAreNoPrompts() {
    String text = SpecFixture.SPEC.replace("prompts: {file: prompts.txt}\n", "");

    assertThat(specs.read(text).sampler().guidance()).isEqualTo(1.0);
    assertThat(specs.problems(text, "sampler.guidance=3.0"))
        .containsExactly(
            "--set sampler.guidance=3.0: sampler.guidance: 3.0 needs prompts; give prompts.file or"
                + " prompts.list, or a guidance of 1");
  }

  @Test
  void shouldRefuseSettingsOfTheOtherAlgorithm() {
    String text = SpecFixture.SPEC.replace("vard", "ddpo") + "  value: {steps: 40}\n";

    assertThat(specs.problems(text))
        .containsExactly(
            "x.yaml:10: algorithm.value.steps: belongs to algorithm.kind: vard only; remove it, or"
                + " change the kind");
  }

  @Test
  void shouldFindFilesBesideTheSpecification() throws Exception {
    Files.createDirectories(folder.resolve("deep/own"));
    Files.writeString(folder.resolve("deep/own.txt"), "beside\n");
    Files.writeString(
        folder.resolve("deep/x.yaml"),
        SpecFixture.SPEC.replace("models/sd", "own").replace("prompts.txt", "own.txt"));

    RunSpec spec = specs.reader().read(Path.of("deep/x.yaml"), List.of());

    assertThat(spec.prompts()).containsExactly("beside");
    assertThat(spec.model().checkpoint())
        .isEqualTo(folder.resolve("deep/own").toAbsolutePath().toString());
  }

  @Test
  void shouldTakeAHubIdAsItIs() {
    RunSpec spec = specs.read(SpecFixture.SPEC, "model.checkpoint=owner/name");

    assertThat(spec.model().checkpoint()).isEqualTo("owner/name");
  }

  @Test
  void shouldLeaveACheckpointOfOneFileToTheWorkerWhichSaysHowToConvertIt(@TempDir Path models)
      throws IOException {
    Path file = Files.createFile(models.resolve("model.safetensors"));

    assertThat(specs.read(SpecFixture.SPEC, "model.checkpoint=" + file).model().checkpoint())
        .isEqualTo(file.toString());
  }

  @Test
  void shouldNotTakeAMissingFolderForAHubId() {
    assertThat(specs.problems(SpecFixture.SPEC, "model.checkpoint=models/sdd"))
        .containsExactly(
            "--set model.checkpoint=models/sdd: model.checkpoint: there is no folder 'models/sdd'"
                + " in the working directory; give a folder in diffusers format or a hub id");
  }

  @Test
  void shouldRefuseAFileThatIsNotThere() {
    SpecException e =
        catchThrowableOfType(
            SpecException.class, () -> specs.reader().read(Path.of("none.yaml"), List.of()));

    assertThat(e)
        .hasMessage("none.yaml: there is no such file; give the path of a specification in YAML");
  }
}
