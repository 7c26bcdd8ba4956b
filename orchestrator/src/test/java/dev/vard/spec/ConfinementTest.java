package dev.vard.spec;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.vard.spec.SpecProblem.Code;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Specifications that others send. */
class ConfinementTest {
  private static final String SPEC =
      """
      name: emoji
      model: {checkpoint: '%s'}
      prompts: {list: [a cat, a dog]}
      reward: {kind: jpeg-compressibility}
      algorithm: {kind: vard}
      """;

  @TempDir private Path folder;
  private Path root;

  @BeforeEach
  void makeModels() throws IOException {
    folder = folder.toRealPath();
    root = Files.createDirectories(folder.resolve("checkpoints"));
    Files.createDirectories(root.resolve("emoji-sd/unet"));
    Files.createDirectories(folder.resolve("secret/model"));
    Files.createDirectories(folder.resolve("checkpoints-of-others/model"));
  }

  private SpecReader reader(boolean allowHub) {
    return SpecReader.confined(new Confinement(List.of(root), allowHub, 3, Set.of()));
  }

  private RunSpec read(boolean allowHub, String checkpoint, String... overrides) {
    return reader(allowHub)
        .read(SPEC.formatted(checkpoint), "specification", Path.of(""), List.of(overrides));
  }

  private List<SpecProblem> problems(boolean allowHub, String checkpoint, String... overrides) {
    return catchThrowableOfType(SpecException.class, () -> read(allowHub, checkpoint, overrides))
        .problems();
  }

  @ParameterizedTest
  @ValueSource(strings = {"emoji-sd", "checkpoints/emoji-sd"})
  void shouldFindAModelInARootAndBesideIt(String name) {
    assertThat(read(false, name).model().checkpoint())
        .isEqualTo(root.resolve("emoji-sd").toString());
  }

  @Test
  void shouldTakeAnAbsolutePathInARoot() {
    String path = root.resolve("emoji-sd").toString();

    assertThat(read(false, path).model().checkpoint()).isEqualTo(path);
  }

  @Test
  void shouldFollowALinkThatStaysInARoot() throws IOException {
    Files.createSymbolicLink(root.resolve("latest"), root.resolve("emoji-sd"));

    assertThat(read(false, "latest").model().checkpoint())
        .isEqualTo(root.resolve("emoji-sd").toString());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../secret/model",
        "checkpoints/../secret/model",
        "./emoji-sd",
        "secret/model",
        "checkpoints-of-others/model",
        "/etc",
        "/",
        "..",
        "missing"
      })
  void shouldSayTheSameOfWhatIsOutsideAndOfWhatIsNotThere(String name) {
    assertThat(problems(true, name))
        .singleElement()
        .satisfies(
            problem -> {
              assertThat(problem.code()).isEqualTo(Code.MISSING_FILE);
              assertThat(problem.path()).isEqualTo("model.checkpoint");
              assertThat(problem.message())
                  .startsWith("there is no '" + name + "' in the server's model folders");
            });
  }

  @Test
  void shouldNotFollowALinkOut() throws IOException {
    Files.createSymbolicLink(root.resolve("way-out"), folder.resolve("secret/model"));

    assertThat(problems(false, "way-out")).extracting("code").containsExactly(Code.MISSING_FILE);
  }

  @Test
  void shouldRefuseAHubIdUnlessAllowed() {
    assertThat(problems(false, "owner/name")).extracting("code").containsExactly(Code.FORBIDDEN);
    assertThat(read(true, "owner/name").model().checkpoint()).isEqualTo("owner/name");
  }

  @Test
  void shouldNotTakeAMissingFolderForAHubId() {
    assertThat(problems(true, "checkpoints/emoji-xl"))
        .extracting("code")
        .containsExactly(Code.MISSING_FILE);
  }

  @Test
  void shouldRefuseWhatIsNotTheClientsToDecide() throws IOException {
    Files.writeString(folder.resolve("prompts.txt"), "a cat\n");

    assertThat(
            problems(
                false,
                "emoji-sd",
                "prompts={file: " + folder.resolve("prompts.txt") + "}",
                "reward.kind=supplied",
                "worker=10.0.0.1:50061"))
        .allMatch(problem -> problem.code() == Code.FORBIDDEN)
        .extracting("path")
        .containsExactly("prompts.file", "reward.kind", "worker");
  }

  @Test
  void shouldTakeTheDefaultWorkerThatAWrittenSpecificationNames() {
    RunSpec spec = read(false, "emoji-sd", "threads=2");

    assertThat(reader(false).read(SpecWriter.write(spec), "specification", Path.of(""), List.of()))
        .isEqualTo(spec);
  }

  @Test
  void shouldBoundTheNumberOfPrompts() {
    assertThat(problems(false, "emoji-sd", "prompts.list=[a, b, c, d]"))
        .singleElement()
        .hasToString(
            "--set prompts.list=[a, b, c, d]: prompts.list: has 4 prompts; give at most 3");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "a: &x [*x]",
        "a: &x {b: *x}",
        "\"a\\0b\": 1",
        "model: {checkpoint: \"a\\0b\"}",
        "model: {checkpoint: \"\\ud800\"}",
        "? [a, b]\n: 1",
        "--- a\n--- b",
        "!!python/object:os.system x",
        "\u0000"
      })
  void shouldTellOfHostileTextAsOfAnyOther(String text) {
    assertThat(
            catchThrowableOfType(
                SpecException.class,
                () -> reader(true).read(text, "specification", Path.of(""), List.of())))
        .isNotNull();
  }

  @ParameterizedTest
  @ValueSource(strings = {"[", "{a: ", "- "})
  void shouldBoundTheNesting(String level) {
    String text = level.repeat(100_000);

    assertThat(
            catchThrowableOfType(
                    SpecException.class,
                    () -> reader(true).read(text, "specification", Path.of(""), List.of()))
                .problems())
        .singleElement()
        .satisfies(problem -> assertThat(problem.message()).contains("nests deeper"));
  }

  @Test
  void shouldBoundWhatAliasesStandFor() {
    StringBuilder text = new StringBuilder("a0: &a0 [1, 1, 1, 1]\n");
    for (int i = 1; i < 20; i++) {
      text.append("a%d: &a%d [*a%d, *a%d, *a%d]\n".formatted(i, i, i - 1, i - 1, i - 1));
    }

    assertThat(
            catchThrowableOfType(
                    SpecException.class,
                    () ->
                        reader(true).read(text.toString(), "specification", Path.of(""), List.of()))
                .problems())
        .singleElement()
        .satisfies(problem -> assertThat(problem.message()).contains("aliases"));
  }

  @Test
  void shouldTellOfManyProblemsInShortTime() {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < 50_000; i++) {
      text.append("key").append(i).append(": 1\n");
    }
    text.append("k".repeat(100_000)).append(": 1\n");

    assertThat(
            catchThrowableOfType(
                    SpecException.class,
                    () ->
                        reader(true).read(text.toString(), "specification", Path.of(""), List.of()))
                .problems())
        .hasSizeLessThan(Given.MOST_PROBLEMS + 100);
  }
}
