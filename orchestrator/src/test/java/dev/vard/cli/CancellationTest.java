package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.run.FakeWorker;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A program of its own, that gets a signal. */
@Timeout(120)
class CancellationTest {

  @Test
  void shouldSaveAndEndWith130WhenToldToStop(@TempDir Path folder) throws Exception {
    Path specification =
        Files.writeString(
            folder.resolve("test.yaml"),
            """
            name: test
            model: {checkpoint: owner/name}
            prompts: {list: [a cat]}
            reward: {kind: jpeg-compressibility}
            algorithm: {kind: vard, samples: 2}
            evaluate: {images: 2}
            """);
    try (FakeWorker worker = new FakeWorker()) {
      worker.stickInSampling();
      Process vard =
          new ProcessBuilder(
                  List.of(
                      Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                      "-cp",
                      System.getProperty("java.class.path"),
                      Main.class.getName(),
                      "run",
                      specification.toString(),
                      "--worker",
                      worker.address(),
                      "--out",
                      folder.resolve("run").toString()))
              .redirectErrorStream(true)
              .redirectOutput(folder.resolve("log").toFile())
              .start();
      worker.awaitStuck();

      // SIGTERM: an ignored SIGINT, which shells give to what they start in the background, cannot
      // be tested.
      vard.destroy();

      assertThat(vard.waitFor()).isEqualTo(ExitCode.CANCELLED);
    }
    assertThat(folder.resolve("log"))
        .content()
        .contains(
            "vard: stopping, and saving what there is",
            "vard: told to stop while sampling in iteration 1");
    assertThat(Files.readString(folder.resolve("run/metrics.jsonl")).lines().toList().getLast())
        .contains("\"to\":\"CANCELLED\"");
    assertThat(folder.resolve("run/export/pytorch_lora_weights.safetensors")).exists();
    assertThat(folder.resolve("run/report.html")).exists();
  }
}
