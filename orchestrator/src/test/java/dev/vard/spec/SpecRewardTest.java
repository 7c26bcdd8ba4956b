package dev.vard.spec;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assertions.tuple;

import dev.vard.spec.RewardSpec.Normalise;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SpecRewardTest {
  @TempDir private Path folder;
  private SpecFixture specs;

  @BeforeEach
  void makeFolder() throws IOException {
    folder = folder.toRealPath();
    specs = new SpecFixture(folder);
    Files.writeString(folder.resolve("models/net.onnx"), "");
    Files.writeString(folder.resolve("ca.pem"), "");
  }

  private RewardSpec reward(String yaml) {
    return specs.read(SpecFixture.SPEC, "reward=" + yaml).reward();
  }

  private RewardSpec.Part part(String yaml) {
    return reward(yaml).parts().getFirst();
  }

  private List<String> problems(String yaml) {
    return specs.problems(SpecFixture.SPEC, "reward=" + yaml).stream()
        .map(problem -> problem.replaceFirst("^--set reward=[^\n]*}: ", ""))
        .toList();
  }

  @Test
  void shouldReadRemoteRewards() {
    assertThat(part("{kind: grpc, endpoints: ['a:1', 'b:2'], served: clicks}"))
        .isEqualTo(
            new RewardSpec.Part(
                "grpc",
                1,
                Normalise.NONE,
                new RewardSource.Grpc(List.of("a:1", "b:2"), "clicks", RewardSource.Access.OPEN),
                new AskingSpec(
                    Optional.of(4), Optional.of(4), Duration.ofSeconds(60), 10, Optional.empty())));
    assertThat(
            part(
                "{kind: http, url: 'https://rewards/v1', ca: ca.pem, token-env: TOKEN, timeout:"
                    + " 2.5, retries: 3, batch: 8, concurrency: 16, range: [0, 1], weight: -2,"
                    + " name: x}"))
        .isEqualTo(
            new RewardSpec.Part(
                "x",
                -2,
                Normalise.NONE,
                new RewardSource.Http(
                    URI.create("https://rewards/v1"),
                    new RewardSource.Access(
                        true, Optional.of(folder.resolve("ca.pem")), Optional.of("TOKEN"))),
                new AskingSpec(
                    Optional.of(8),
                    Optional.of(16),
                    Duration.ofMillis(2500),
                    3,
                    Optional.of(new AskingSpec.Range(0, 1)))));
  }

  @Test
  void shouldReadOptionsAsTheyAre() {
    RewardSource source =
        part("{kind: python, function: 'my.module:score', device: cpu,"
                + " options: {a: text, b: 3, c: 0.5, d: true}}")
            .source();

    assertThat(source)
        .isEqualTo(
            new RewardSource.Python(
                "my.module:score", Map.of("a", "text", "b", 3L, "c", 0.5, "d", true), "cpu"));
  }

  @Test
  void shouldReadASum() {
    RewardSpec spec =
        reward(
            "{kind: sum, cache: true, on-failure: drop, most-dropped: 0.25, parts: [{kind:"
                + " jpeg-compressibility, quality: 50}, {kind: supplied, name: mine, weight: 0.5,"
                + " normalise: none}]}");

    assertThat(spec.parts())
        .extracting(RewardSpec.Part::name, RewardSpec.Part::weight, RewardSpec.Part::normalise)
        .containsExactly(
            tuple("jpeg-compressibility", 1.0, Normalise.FIXED),
            tuple("mine", 0.5, Normalise.NONE));
    assertThat(spec.cache()).isTrue();
    assertThat(spec.onFailure()).isEqualTo(RewardSpec.OnFailure.DROP);
    assertThat(spec.mostDropped()).isEqualTo(0.25);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{kind: java, class: com.acme.Clicks, options: {a: 1}}",
        "{kind: onnx, model: models/net.onnx, input: {size: 64, layout: nhwc, mean: [1, 2, 3],"
            + " deviation: [4, 5, 6]}, output: {name: logits, take: log-softmax, index: 3}}",
        "{kind: grpc, endpoints: ['a:1'], tls: true, ca: ca.pem, token-env: T}",
        "{kind: http, url: 'http://a', weight: -0.5}",
        "{kind: python, function: 'a:b', options: {x: 1}}",
        "{kind: sum, parts: [{kind: supplied, normalise: running}, {kind: http, url: 'http://a'}]}",
        "{kind: sum, parts: [{kind: supplied}]}"
      })
  void shouldWriteWhatReadsAsTheSame(String yaml) {
    RunSpec spec = specs.read(SpecFixture.SPEC, "reward=" + yaml, "budget.queries=500");

    assertThat(specs.read(SpecWriter.write(spec))).isEqualTo(spec);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{kind: grpc} | reward.endpoints: is missing; give a list of host:port",
        "{kind: grpc, endpoints: ['a']} | reward.endpoints: 'a' does not fit; give host:port",
        "{kind: http, url: 'ftp://a'} | reward.url: 'ftp://a' does not fit; give an http or https"
            + " URL",
        "{kind: http, url: 'http://a', ca: ca.pem} | reward.ca: needs TLS; give tls: true, or an"
            + " https URL",
        "{kind: onnx, model: none.onnx} | reward.model: there is no file 'none.onnx' in the working"
            + " directory; give an ONNX file",
        "{kind: supplied, range: [1, 1]} | reward.range: the least is not below the most; give them"
            + " in that order",
        "{kind: supplied, range: [1]} | reward.range: the list has 1 items; give a list of the"
            + " least and the most",
        "{kind: supplied, normalise: none} | reward.normalise: belongs to the parts of a sum;"
            + " remove it",
        "{kind: supplied, options: {a: [1]}} | reward.options: a: a list is given, not a plain"
            + " value; give a mapping of names and plain values",
        "{kind: supplied, cache: maybe} | reward.cache: 'maybe' is text; give true or false",
        "{kind: sum, parts: []} | reward.parts: the list is empty; give a list of at most"
            + " 64 rewards, each with its kind and keys",
        "{kind: sum, weight: 2, parts: [{kind: supplied}]} | reward.weight: belongs to the parts of"
            + " a sum; give it there",
        "{kind: sum, parts: [{kind: supplied, cache: true}]} | reward.parts[0].cache: belongs to"
            + " the whole reward; give it there",
        "{kind: sum, parts: [{kind: supplied}, {kind: http}]} | reward.parts[1].url: is missing;"
            + " give an http or https URL",
        "{kind: sum, parts: [{kind: supplied}, {kind: sum, parts: [{kind: supplied}]}]} |"
            + " reward.parts[1].kind: a sum holds no sums; give their parts",
        "{kind: sum, parts: [{kind: supplied}, {kind: supplied}]} | reward.parts: two parts are"
            + " called supplied; give each a name of its own",
        "{kind: sum, parts: [{kind: http, ulr: x}]} | reward.parts[0].ulr: is no key of a"
            + " specification; did you mean reward.parts[0].url?",
      })
  void shouldTellWhatIsWrongAndWhere(String yaml, String problem) {
    assertThat(problems(yaml)).anySatisfy(line -> assertThat(line).endsWith(problem));
  }

  @Test
  void shouldFitAheadWithRemoteRewardsOnly() {
    assertThat(ahead("{kind: supplied}")).isZero();
    assertThat(ahead("{kind: http, url: 'http://a'}")).isEqualTo(20);
  }

  private int ahead(String yaml) {
    RunSpec spec = specs.read(SpecFixture.SPEC, "reward=" + yaml);
    return ((AlgorithmSpec.VardSpec) spec.algorithm()).value().ahead();
  }

  @Test
  void shouldRefuseABudgetThatPaysForNoTraining() {
    assertThat(specs.problems(SpecFixture.SPEC, "budget.queries=200"))
        .containsExactly(
            "--set budget.queries=200: budget.queries: pays for 2 iterations with their"
                + " evaluations, none of which improves the policy; give more, or less for"
                + " algorithm.samples or evaluate.images");
    assertThat(specs.read(SpecFixture.SPEC, "budget.queries=224").iterations()).isEqualTo(3);
  }

  private List<String> confined(String yaml, String... rewards) {
    SpecReader reader =
        SpecReader.confined(
            new Confinement(List.of(folder.resolve("models")), false, 3, Set.of(rewards)));
    String text = SpecFixture.SPEC.replace("{file: prompts.txt}", "{list: [a]}");
    SpecException e =
        catchThrowableOfType(
            SpecException.class,
            () -> reader.read(text, "specification", Path.of(""), List.of("reward=" + yaml)));
    return e == null ? List.of() : e.problems().stream().map(SpecProblem::message).toList();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{kind: java, class: com.acme.Clicks} | java:com.acme.Clicks",
        "{kind: python, function: 'os:system'} | python:os:system",
        "{kind: http, url: 'http://169.254.169.254'} | http://169.254.169.254",
        "{kind: grpc, endpoints: ['a:1']} | grpc:a:1",
        "{kind: sum, parts: [{kind: http, url: 'http://b'}]} | http://b",
      })
  void shouldAskOnAServerWhatItsOperatorAllowsOnly(String yaml, String address) {
    assertThat(confined(yaml))
        .singleElement()
        .asString()
        .startsWith("the server takes no reward from " + address + ";");
    assertThat(confined(yaml, address)).isEmpty();
  }

  @Test
  void shouldOpenOnAServerNoFileBeyondItsModelFolders() {
    assertThat(confined("{kind: onnx, model: models/net.onnx}")).isEmpty();
    assertThat(confined("{kind: onnx, model: " + folder.resolve("ca.pem") + "}"))
        .singleElement()
        .asString()
        .contains("in the server's model folders");
    assertThat(confined("{kind: http, url: 'https://a', ca: ca.pem}", "https://a")).isNotEmpty();
  }

  @Test
  void shouldHandOutOnAServerNoVariableThatIsNotMeantForRewards() {
    assertThat(confined("{kind: http, url: 'http://a', token-env: PATH}", "http://a"))
        .singleElement()
        .asString()
        .contains("VARD_REWARD_");
    assertThat(confined("{kind: http, url: 'http://a', token-env: VARD_REWARD_A}", "http://a"))
        .isEmpty();
    assertThat(confined("{kind: supplied}")).isNotEmpty();
  }
}
