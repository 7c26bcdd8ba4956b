package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.run.FakeWorker;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The program alone, without the launcher and its umask. */
@Timeout(120)
class PrivateRunTest {
  private static final Set<PosixFilePermission> OTHERS =
      PosixFilePermissions.fromString("---rwxrwx");

  @Test
  void shouldLetNobodyElseReadARunWhateverTheUmask(@TempDir Path folder) throws Exception {
    Files.writeString(
        folder.resolve("test.yaml"),
        """
        name: test
        model: {checkpoint: owner/name}
        prompts: {list: [a cat]}
        reward: {kind: jpeg-compressibility}
        algorithm: {kind: vard, iterations: 2, samples: 2, value: {warmup: 1}}
        evaluate: {images: 2}
        """);
    try (FakeWorker worker = new FakeWorker()) {
      Process vard =
          new ProcessBuilder(
                  "sh",
                  "-c",
                  "umask 000; exec \"$@\"",
                  "sh",
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "-cp",
                  System.getProperty("java.class.path"),
                  Main.class.getName(),
                  "run",
                  "test.yaml",
                  "--worker",
                  worker.address(),
                  "--out",
                  "runs/one")
              .directory(folder.toFile())
              .redirectErrorStream(true)
              .redirectOutput(folder.resolve("log").toFile())
              .start();
      assertThat(vard.waitFor()).as(Files.readString(folder.resolve("log"))).isZero();
    }

    try (Stream<Path> all = Files.walk(folder.resolve("runs"))) {
      List<Path> made = all.filter(path -> !isTheWorkers(path)).toList();
      assertThat(made)
          .extracting(path -> path.getFileName().toString())
          .contains("runs", "run.mv.db", "spec.yaml", "metrics.jsonl", "0000.png", "report.html");
      assertThat(made).noneMatch(PrivateRunTest::isOpenToOthers);
    }
  }

  /** The fake worker is of the test's own process, and has its umask. */
  private static boolean isTheWorkers(Path path) {
    return path.toString().contains("/one/export") || path.toString().contains("/checkpoints/");
  }

  private static boolean isOpenToOthers(Path path) {
    try {
      return Files.getPosixFilePermissions(path).stream().anyMatch(OTHERS::contains);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
