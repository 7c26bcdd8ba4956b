package dev.vard.run;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecReader;
import dev.vard.worker.TinyModel;
import dev.vard.worker.WorkerClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whole runs on a real model with random weights. */
class SameSeedSameLoraTest {
  private static final String SPEC =
      """
      name: tiny
      model: {checkpoint: %s, adapter: {rank: 2}}
      prompts: {list: [a cat, a dog]}
      sampler: {steps: 4, batch: 3}
      reward: {kind: jpeg-compressibility}
      algorithm:
        kind: vard
        iterations: 3
        samples: 6
        value: {warmup: 1, steps: 3, batch: 8, replay: 2}
        policy: {steps: 2, batch: 8, learning-rate: 1.0e-2}
      evaluate: {images: 4}
      threads: 2
      """;

  @TempDir private static Path folder;

  /** Starting a worker takes far longer than these runs. */
  private static WorkerClient local;

  private static Outcome reference;

  /**
   * What a run leaves behind: bits of its LoRA, and of the images that it was last evaluated on.
   */
  private record Outcome(String lora, String images, double kl) {}

  @BeforeAll
  static void runOnce() throws Exception {
    local = FineTuning.openWorker(spec());
    reference = run("reference", spec(), local);
  }

  @AfterAll
  static void endWorker() {
    local.close();
  }

  private static RunSpec spec(String... overrides) {
    return new SpecReader()
        .read(SPEC.formatted(TinyModel.folder()), "tiny.yaml", Path.of(""), List.of(overrides));
  }

  private static Outcome run(String name, RunSpec spec, WorkerClient worker) throws Exception {
    RunFolder run = RunFolder.at(folder.resolve(name), spec);
    RunResult result = new FineTuning(spec).run(worker, run);
    MessageDigest images = MessageDigest.getInstance("SHA-256");
    try (Stream<Path> files = Files.list(run.root().resolve("samples/0003"))) {
      for (Path file : files.sorted().toList()) {
        images.update(Files.readAllBytes(file));
      }
    }
    return new Outcome(
        sha256(Path.of(result.export(), "pytorch_lora_weights.safetensors")),
        HexFormat.of().formatHex(images.digest()),
        result.klPerTrajectory());
  }

  private static String sha256(Path file) throws Exception {
    return HexFormat.of()
        .formatHex(MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file)));
  }

  @Test
  void shouldMoveThePolicy() {
    assertThat(reference.kl()).isPositive();
  }

  @Test
  void shouldGiveTheSameBitsForTheSameSeed() throws Exception {
    assertThat(run("again", spec(), local)).isEqualTo(reference);
  }

  @Test
  void shouldGiveTheSameBitsInsideTheJvm() throws Exception {
    RunSpec spec = spec("worker=embedded");
    try (WorkerClient embedded = FineTuning.openWorker(spec)) {
      assertThat(run("embedded", spec, embedded)).isEqualTo(reference);
    }
  }

  @Test
  void shouldGiveOtherBitsForAnotherSeed() throws Exception {
    assertThat(run("other", spec("seed=8"), local).lora()).isNotEqualTo(reference.lora());
  }

  @Test
  void shouldTrainByPolicyGradientToo() throws Exception {
    String ddpo =
        "algorithm={kind: ddpo, iterations: 3, samples: 6, policy: {steps: 2, batch: 8,"
            + " learning-rate: 1.0e-2}}";

    assertThat(run("ddpo", spec(ddpo), local).kl()).isPositive();
  }
}
