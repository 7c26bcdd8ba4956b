package dev.vard.spec;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Specifications that are read here and run elsewhere. */
class SpecToSendTest {
  @TempDir private Path folder;

  @BeforeEach
  void write() throws IOException {
    Files.writeString(folder.resolve("x.yaml"), SpecFixture.SPEC);
    Files.writeString(folder.resolve("prompts.txt"), "a cat\na dog\n");
  }

  private RunSpec read(String... overrides) {
    return SpecReader.toSend(folder).read(Path.of("x.yaml"), List.of(overrides));
  }

  private List<String> problems(String... overrides) {
    return catchThrowableOfType(SpecException.class, () -> read(overrides)).problems().stream()
        .map(SpecProblem::toString)
        .toList();
  }

  @Test
  void shouldBringThePromptsAlong() {
    assertThat(SpecWriter.write(read())).contains("list:", "- a cat", "- a dog");
  }

  @Test
  void shouldNameTheModelAsItWasWritten() throws IOException {
    Files.createDirectories(folder.resolve("models/sd"));

    assertThat(read().model().checkpoint()).isEqualTo("models/sd");
  }

  @Test
  void shouldNotNeedTheModelHere() throws IOException {
    Files.createDirectories(folder.resolve("models"));

    assertThat(read("model.checkpoint=models/of/the/server").model().checkpoint())
        .isEqualTo("models/of/the/server");
  }

  @Test
  void shouldLeaveTheThreadsToTheServer() {
    assertThat(SpecWriter.write(read())).doesNotContain("threads");
    assertThat(SpecWriter.write(read("threads=3"))).contains("threads: 3");
  }

  @Test
  void shouldRefuseWhatIsTheServersToDecide() {
    assertThat(problems("worker=gpu:7777", "reward={kind: supplied}"))
        .containsExactly(
            "--set worker=gpu:7777: worker: the server decides which worker runs what; remove it",
            "--set reward={kind: supplied}: reward.kind: supplied needs a Java program that brings"
                + " the reward; give another kind");
  }
}
