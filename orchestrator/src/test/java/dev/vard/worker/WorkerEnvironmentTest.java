package dev.vard.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WorkerEnvironmentTest {
  @TempDir private Path home;

  @BeforeEach
  void makeHome() throws IOException {
    Files.createDirectories(home.resolve("python-worker/src/vard_worker"));
    Files.createDirectories(home.resolve("python-worker/.venv/bin"));
    Files.createFile(home.resolve("python-worker/.venv/bin/python")).toFile().setExecutable(true);
  }

  @Test
  void shouldTakeHomeFromItsVariable() {
    WorkerEnvironment found =
        WorkerEnvironment.find(Map.of("VARD_HOME", home.toString()), Path.of("/"));

    assertThat(found)
        .isEqualTo(new WorkerEnvironment(home, home.resolve("python-worker/.venv/bin/python")));
  }

  @Test
  void shouldFindHomeAboveTheWorkingDirectory() throws IOException {
    Path inside = Files.createDirectories(home.resolve("examples/java"));

    assertThat(WorkerEnvironment.find(Map.of(), inside).home()).isEqualTo(home);
  }

  @Test
  void shouldPreferTheGivenPython() throws IOException {
    Path python = Files.createFile(home.resolve("python"));
    assertThat(python.toFile().setExecutable(true)).isTrue();

    var variables = Map.of("VARD_HOME", home.toString(), "VARD_PYTHON", python.toString());

    assertThat(WorkerEnvironment.find(variables, Path.of("/")).python()).isEqualTo(python);
  }

  @Test
  void shouldNameTheCureWhereSomethingIsMissing(@TempDir Path elsewhere) throws IOException {
    assertThatThrownBy(
            () -> WorkerEnvironment.find(Map.of("VARD_HOME", elsewhere.toString()), home))
        .isInstanceOf(WorkerException.class)
        .hasMessageContaining("VARD_HOME");

    Files.delete(home.resolve("python-worker/.venv/bin/python"));
    assertThatThrownBy(() -> WorkerEnvironment.find(Map.of(), home))
        .isInstanceOf(WorkerException.class)
        .hasMessageContaining("setup");
  }
}
