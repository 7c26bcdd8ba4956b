package dev.vard.run;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecReader;
import dev.vard.worker.WorkerClient;
import dev.vard.worker.WorkerEnvironment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A whole run on a checkpoint of each model family, with random weights and the family's own. */
class EveryFamilyTest {
  private static final String SPEC =
      """
      name: family
      model: {checkpoint: %s, adapter: {rank: 2}}
      sampler: {steps: 4, batch: 4}
      reward: {kind: jpeg-compressibility}
      algorithm:
        kind: vard
        iterations: 3
        samples: 4
        value: {input: lookahead, warmup: 1, steps: 3, batch: 8, replay: 2}
        policy: {steps: 2, batch: 4, micro-batch: 2, learning-rate: 1.0e-2, phase-rate: 0.5}
        kl: {budget: 1.0, probes: 2}
      evaluate: {images: 2}
      threads: 1
      """;

  @TempDir private static Path folder;

  private static WorkerClient worker;

  @BeforeAll
  static void makeCheckpoints() throws Exception {
    int exit =
        WorkerEnvironment.find()
            .process("-m", "vard_worker.testing", "all", folder.toString())
            .start()
            .waitFor();
    assertThat(exit).isZero();
    worker = FineTuning.openWorker(spec("tiny-sd", List.of("prompts={list: [a cat]}")));
  }

  @AfterAll
  static void endWorker() {
    worker.close();
  }

  private static RunSpec spec(String kind, List<String> overrides) {
    return new SpecReader()
        .read(SPEC.formatted(folder.resolve(kind)), "family.yaml", Path.of(""), overrides);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          tiny-sd-pruned    | prompts={list: [a cat, a dog]}; algorithm.value.kind=encoder
          tiny-ddpm-gray    | sampler.guidance=1; sampler.kind=ddpm; algorithm.value.input=state
          tiny-ddpm-classes | prompts={list: ["0", "3"]}; sampler.guidance=1
          tiny-sdxl         | prompts={list: [a cat, a dog]}; model.dtype=bfloat16
          tiny-sdxl-v       | prompts={list: [a cat, a dog]}; trajectories={dtype: bfloat16, device: cpu}
          tiny-sdxl-pruned  | prompts={list: [a cat, a dog]}; model.gradient-checkpointing=true
          tiny-sd3          | prompts={list: [a cat, a dog]}; model.height=96; model.width=64
          tiny-sd3-clip     | prompts={list: [a cat, a dog]}; sampler.kind=flow-cps
          tiny-sd3-dual     | prompts={list: [a cat, a dog]}; algorithm.value.kind=encoder
          tiny-flux         | prompts={list: [a cat, a dog]}; model.height=32; model.width=48
          tiny-sana         | prompts={list: [a cat, a dog]}; model.height=64; model.width=32
          tiny-flux-schnell | prompts={list: [a cat, a dog]}; model.height=32; model.width=32; sampler.guidance=1
          """)
  void shouldTrainAndExport(String kind, String overrides) throws Exception {
    RunSpec spec = spec(kind, List.of(overrides.split("; ")));

    RunResult result =
        new FineTuning(spec).run(worker, RunFolder.at(folder.resolve("run-" + kind), spec));

    assertThat(result.iterations()).isEqualTo(3);
    // Two fresh trajectories measure it, and two others the end.
    assertThat(result.klPerTrajectory()).isPositive().isLessThan(2);
    assertThat(Path.of(result.export(), "pytorch_lora_weights.safetensors"))
        .matches(file -> Files.exists(file));
  }
}
