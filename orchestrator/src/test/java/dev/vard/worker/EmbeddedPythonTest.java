package dev.vard.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EmbeddedPythonTest {
  @Test
  void shouldFindTheEnvironmentsOwnLibrary() throws IOException {
    assertThat(EmbeddedPython.library(WorkerEnvironment.find())).isRegularFile();
  }

  @Test
  void shouldNameTheCureWhereJepIsNotInstalled(@TempDir Path folder) throws Exception {
    Path home = WorkerEnvironment.find().home();
    String python = WorkerEnvironment.find().python().toString();
    int exit =
        new ProcessBuilder(python, "-m", "venv", "--without-pip", folder.toString())
            .start()
            .waitFor();
    assertThat(exit).isZero();

    assertThatThrownBy(
            () -> EmbeddedPython.library(new WorkerEnvironment(home, folder.resolve("bin/python"))))
        .isInstanceOfSatisfying(
            WorkerException.class,
            e -> assertThat(e.kind()).isEqualTo(WorkerException.Kind.UNAVAILABLE))
        .hasMessageContaining("C compiler")
        .hasMessageContaining("./vard setup");
  }
}
