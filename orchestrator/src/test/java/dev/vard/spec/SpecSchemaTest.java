package dev.vard.spec;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SchemaId;
import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SpecVersion;
import com.networknt.schema.ValidationMessage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.schema.CoreSchema;

/** The schema refuses nothing that the reader takes, and all that it can know. */
class SpecSchemaTest {
  private static final Path HOME = Path.of(System.getenv("VARD_HOME"));
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final JsonSchemaFactory FACTORY =
      JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V202012);
  private static final JsonSchema SCHEMA = FACTORY.getSchema(SpecSchema.json());

  /** Values of every type, some of which fit some key. */
  private static final List<String> VALUES =
      List.of(
          "~",
          "true",
          "'true'",
          "-1",
          "0",
          "1",
          "2.0",
          "0.5",
          "7.5",
          "8",
          "100",
          "5000",
          "100001",
          "9000000000000000000",
          "text",
          "' '",
          "''",
          "a:1",
          "m.n:f",
          "http://a/b",
          "http://a?b",
          "models/sd",
          "models/net.onnx",
          "prompts.txt",
          "[]",
          "[a, b]",
          "[a, a]",
          "[a, ' ']",
          "[a, 1]",
          "[1, 2]",
          "[1, 2, 3]",
          "[1, 0, 3]",
          "{}",
          "{a: 1, b: x, c: true}",
          "{a: [1]}",
          "[{kind: supplied}]",
          "[{kind: supplied, normalise: none, weight: 0.5}]",
          "[{kind: supplied, cache: true}]",
          "[{kind: sum, parts: [{kind: supplied}]}]",
          "[{kind: http}]",
          "[{kind: http, url: 'http://a'}]",
          "[{kind: http, quality: 3, url: 'http://a'}]",
          "[3]");

  private static final List<String> REWARDS =
      List.of(
          "{kind: jpeg-compressibility}",
          "{kind: java, class: com.acme.Clicks}",
          "{kind: onnx, model: models/net.onnx}",
          "{kind: grpc, endpoints: ['a:1']}",
          "{kind: http, url: 'http://a'}",
          "{kind: python, function: 'm:f'}",
          "{kind: sum, parts: [{kind: supplied}]}",
          "{kind: supplied}");

  @TempDir private Path folder;
  private SpecFixture specs;

  @BeforeEach
  void makeFolder() throws IOException {
    specs = new SpecFixture(folder);
    Files.writeString(folder.resolve("models/net.onnx"), "");
  }

  private static Set<ValidationMessage> refused(String yaml) {
    return SCHEMA.validate(JSON.<JsonNode>valueToTree(yaml(yaml)));
  }

  private static Object yaml(String text) {
    return new Load(LoadSettings.builder().setSchema(new CoreSchema()).build())
        .loadFromString(text);
  }

  /** What the reader says of the same text; empty where it takes it. */
  private List<SpecProblem> problems(String yaml) {
    try {
      specs.reader().read(yaml, "specification", Path.of(""), List.of());
      return List.of();
    } catch (SpecException e) {
      return e.problems();
    }
  }

  @Test
  void shouldBeASchema() throws IOException {
    JsonSchema draft = FACTORY.getSchema(SchemaLocation.of(SchemaId.V202012));

    assertThat(draft.validate(JSON.readTree(SpecSchema.json()))).isEmpty();
  }

  @Test
  void shouldShipWhatTheProgramPrints() throws IOException {
    assertThat(HOME.resolve("docs/vard.schema.json"))
        .as("./vard spec --schema > docs/vard.schema.json")
        .hasContent(SpecSchema.json());
  }

  @Test
  void shouldDescribeEveryKeyThatThereIs() throws IOException {
    JsonNode schema = JSON.readTree(SpecSchema.json());

    for (Key<?> key : Keys.ALL) {
      JsonNode property = schema;
      for (String name : key.segments()) {
        property = property.path("properties").path(name);
      }
      assertThat(property.path("description").asText()).as(key.path()).startsWith(key.meaning());
    }
  }

  static Stream<Path> examples() throws IOException {
    try (Stream<Path> files = Files.list(HOME.resolve("examples"))) {
      return files.filter(file -> file.toString().endsWith(".yaml")).sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("examples")
  void shouldTakeEveryExampleWhichNamesIt(Path example) throws IOException {
    String text = Files.readString(example);
    String named = text.lines().findFirst().orElseThrow();

    assertThat(refused(text)).isEmpty();
    assertThat(named).startsWith("# yaml-language-server: $schema=");
    assertThat(example.resolveSibling(named.substring(named.indexOf('=') + 1)).normalize())
        .isEqualTo(HOME.resolve("docs/vard.schema.json").normalize());
  }

  @ParameterizedTest
  @MethodSource("examples")
  void shouldTakeWhatARunWritesDown(Path example) {
    RunSpec spec = new SpecReader(HOME, 2).read(HOME.relativize(example), List.of());

    assertThat(refused(SpecWriter.write(spec))).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "nmae: x",
        "seed: -1",
        "model: {checkpoint: models/sd, dtype: float8}",
        "model: {checkpoint: models/sd, adapter: {rank: 8.5}}",
        "model: {dtype: float32}",
        "model: models/sd",
        "prompts: {}",
        "prompts: {file: prompts.txt, list: [a]}",
        "prompts:",
        "sampler: {steps: 0}",
        "sampler: {guidance: high}",
        "sampler: {batch: 4097}",
        "sampler: {kind: euler}",
        "trajectories: {device: cuda}",
        "reward: {quality: 3}",
        "reward: {kind: jpeg-compressibilty}",
        "reward: {kind: jpeg-compressibility, quality: 101}",
        "reward: {kind: http, url: 'http://a', quality: 3}",
        "reward: {kind: http}",
        "reward: {kind: sum}",
        "reward: {kind: sum, weight: 2, parts: [{kind: supplied}]}",
        "reward: {kind: sum, parts: [{kind: supplied, cache: true}]}",
        "reward: {kind: sum, parts: [{kind: sum, parts: [{kind: supplied}]}]}",
        "reward: {kind: supplied, normalise: none}",
        "reward: {kind: onnx, model: models/net.onnx, output: {index: 0, class: food}}",
        "reward: {kind: onnx, model: models/net.onnx, output: {take: mean, class: food}}",
        "reward: {kind: onnx, model: models/net.onnx, input: {mean: [1, 2]}}",
        "reward: {kind: java, class: a.B, options: {a: [1]}}",
        "algorithm: {kind: ppo}",
        "algorithm: {iterations: 4}",
        "algorithm: {kind: vard, clip: 0.1}",
        "algorithm: {kind: ddpo, value: {steps: 40}}",
        "algorithm: {kind: vard, kl: {}}",
        "algorithm: {kind: vard, kl: {budget: 60, weight: 0.1}}",
        "evaluate: 4",
        "evaluate: {images: 1}",
        "budget: {queries: 0}",
        "worker: nowhere",
        "threads: many"
      })
  void shouldRefuseWhatTheReaderRefuses(String given) {
    String text = with(given);

    assertThat(refused(text)).isNotEmpty();
    assertThat(problems(text)).isNotEmpty();
  }

  @Test
  void shouldTakeThePlainSpecificationThatTheseTestsSpoil() {
    assertThat(refused(with("name: emoji"))).isEmpty();
    assertThat(problems(with("name: emoji"))).isEmpty();
  }

  /** The list of docs/specification.md, of what only the program can know. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "model: {checkpoint: models/none}",
        "prompts: {file: none.txt}",
        "reward: {kind: onnx, model: none.onnx}",
        "reward: {kind: grpc, endpoints: [a]}",
        "reward: {kind: http, url: 'http://a', ca: prompts.txt}",
        "reward: {kind: supplied, range: [1, 1]}",
        "reward: {kind: sum, parts: [{kind: supplied}, {kind: supplied}]}",
        "reward: {kind: supplied, weight: 0}",
        "reward: {kind: supplied, weight: 1e39}",
        "budget: {queries: 3}",
        "algorithm: {kind: vard, iterations: 2}",
        "algorithm: {kind: vard, value: {width: 9}}",
        "algorithm: {kind: vard, value: {steps: 4, ahead: 4}}",
        "algorithm: {kind: vard, policy: {steps: 100000, batch: 4096}}",
        "sampler: {eta: 0}"
      })
  void shouldLeaveToTheReaderWhatOnlyItKnows(String given) {
    String text = with(given);

    assertThat(refused(text)).isEmpty();
    assertThat(problems(text)).isNotEmpty();
  }

  /** A plain specification with one of its keys given, or given differently. */
  private static String with(String given) {
    String key = given.substring(0, given.indexOf(':'));
    String lines =
        """
        name: emoji
        model: {checkpoint: models/sd}
        prompts: {file: prompts.txt}
        reward: {kind: jpeg-compressibility}
        algorithm: {kind: vard}
        """;
    return lines.replaceFirst("(?m)^" + key + ":.*\n", "") + given + "\n";
  }

  /** Every key, with values of every type, beside every kind of reward and algorithm. */
  @Test
  void shouldRefuseWhatTheReaderRefusesAndNothingThatItTakes() throws IOException {
    List<String> differ = new ArrayList<>();
    int refusedByBoth = 0;
    int takenByBoth = 0;
    for (Case given : cases()) {
      boolean refused = !SCHEMA.validate(JSON.<JsonNode>valueToTree(given.document())).isEmpty();
      List<SpecProblem> problems = problems(JSON.writeValueAsString(given.document()));
      if (refused && problems.isEmpty()) {
        differ.add("only the schema refuses " + given);
      } else if (!refused && !problems.isEmpty() && !onlyTheReaderKnows(problems)) {
        differ.add("only the reader refuses " + given + ": " + problems);
      } else if (refused) {
        refusedByBoth++;
      } else if (problems.isEmpty()) {
        takenByBoth++;
      }
    }
    assertThat(differ).isEmpty();
    assertThat(refusedByBoth).isGreaterThan(4_000);
    assertThat(takenByBoth).isGreaterThan(400);
  }

  /** A value of a key, in a specification that is right without it. */
  private record Case(Key<?> key, String value, String reward, String algorithm) {
    Object document() {
      @SuppressWarnings("unchecked")
      Map<String, Object> root =
          (Map<String, Object>)
              yaml(
                  "{name: emoji, model: {checkpoint: models/sd}, prompts: {file: prompts.txt},"
                      + " reward: %s, algorithm: {kind: %s}}".formatted(reward, algorithm));
      Map<String, Object> section = root;
      for (String name : key.segments().subList(0, key.segments().size() - 1)) {
        @SuppressWarnings("unchecked")
        Map<String, Object> inner =
            (Map<String, Object>) section.computeIfAbsent(name, none -> new LinkedHashMap<>());
        section = inner;
      }
      section.put(key.segments().getLast(), yaml(value));
      return root;
    }
  }

  private static List<Case> cases() {
    List<Case> cases = new ArrayList<>();
    for (Key<?> key : Keys.ALL) {
      boolean ofRewards = key.path().startsWith("reward.");
      boolean ofAlgorithms = key.path().startsWith("algorithm.");
      for (String reward : ofRewards ? REWARDS : REWARDS.subList(0, 1)) {
        for (String algorithm : ofAlgorithms ? List.of("vard", "ddpo") : List.of("vard")) {
          boolean belongs =
              key.only()
                  .map(Key.Belongs::values)
                  .map(kinds -> kinds.stream().anyMatch(k -> has(reward, k) || k.equals(algorithm)))
                  .orElse(true);
          // What does not belong is refused whatever it is.
          for (String value : belongs ? VALUES : VALUES.subList(0, 6)) {
            cases.add(new Case(key, value, reward, algorithm));
          }
        }
      }
    }
    return cases;
  }

  private static boolean has(String reward, String kind) {
    return reward.startsWith("{kind: " + kind + ",") || reward.equals("{kind: " + kind + "}");
  }

  /** Whether this is of the things that only the reader knows. */
  private static boolean onlyTheReaderKnows(List<SpecProblem> problems) {
    return problems.stream()
        .allMatch(
            problem ->
                problem.code() == SpecProblem.Code.MISSING_FILE
                    || problem.message().contains("holds no prompt")
                    || problem.message().contains("give a class's full name")
                    || problem.message().contains("leaves none of")
                    || problem.message().contains("pays for")
                    || problem.message().contains("32-bit float")
                    || problem.message().contains("are more than the")
                    || problem.message().contains("is no multiple of 8")
                    || problem.message().contains("equal rewards teach nothing")
                    || problem.message().contains("gives a chain without noise")
                    || problem.message().contains("give them in that order")
                    || problem.message().contains("needs TLS")
                    || problem.message().contains("does not fit; give host:port"));
  }
}
