package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.worker.TinyModel;
import dev.vard.worker.WorkerEnvironment;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What the README says after a run: the script of {@code examples/} draws, in plain diffusers, the
 * run's last evaluation again. The worker's tests have every family of models.
 */
@Timeout(240)
class UseLoraTest {
  private static final String SPEC =
      """
      name: tiny
      model: {checkpoint: %s, dtype: %s, adapter: {rank: 2}}
      prompts: {list: [a cat, a dog]}
      sampler: {kind: %s, steps: 3, batch: 3}
      reward: {kind: jpeg-compressibility}
      algorithm:
        kind: vard
        iterations: 2
        samples: 4
        value: {warmup: 1, steps: 3, batch: 8}
        policy: {steps: 2, batch: 8, learning-rate: 1.0e-2}
      evaluate: {images: 4}
      threads: 1
      """;

  @TempDir private Path folder;

  @ParameterizedTest
  @CsvSource({"float32, ddim", "bfloat16, ddpm"})
  void shouldDrawTheLastEvaluationAgain(String dtype, String sampler) throws Exception {
    Path specification =
        Files.writeString(
            folder.resolve("tiny.yaml"), SPEC.formatted(TinyModel.folder(), dtype, sampler));
    Path run = folder.resolve("run");
    Console quiet = new Console(discarding(), discarding());
    assertThat(Main.execute(quiet, "run", specification.toString(), "--out", run.toString()))
        .isEqualTo(ExitCode.OK);

    WorkerEnvironment environment = WorkerEnvironment.find();
    Path script = environment.home().resolve("examples/use_lora.py");
    Process process =
        environment
            .process(script.toString(), run.toString(), "--check")
            .redirectErrorStream(true)
            .start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

    assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
    assertThat(process.exitValue()).as(said).isZero();
    assertThat(said).contains("the same, pixel for pixel");
  }

  private static PrintStream discarding() {
    return new PrintStream(OutputStream.nullOutputStream(), true, StandardCharsets.UTF_8);
  }
}
