package dev.vard.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.vard.reward.Image;
import dev.vard.run.RunResult;
import dev.vard.worker.WorkerEnvironment;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RedEmojiTest {

  @Test
  void shouldTrainOnALambdaAndExport(@TempDir Path folder) throws Exception {
    Path specification =
        Files.writeString(
            folder.resolve("tiny.yaml"),
            """
            name: red
            model: {checkpoint: %s, adapter: {rank: 2}}
            prompts: {list: [a cat]}
            sampler: {steps: 4}
            reward: {kind: supplied}
            algorithm:
              kind: vard
              iterations: 2
              samples: 4
              value: {warmup: 1, steps: 2}
              policy: {steps: 2}
            evaluate: {images: 2}
            """
                .formatted(tinyModel(folder.resolve("model"))));

    RunResult result = RedEmoji.run(specification, folder.resolve("run"), List.of("seed=3"));

    assertThat(result.rewardQueries()).isEqualTo(8);
    assertThat(result.rewardBefore().mean()).isBetween(-1.0, 1.0);
    assertThat(Path.of(result.export(), "pytorch_lora_weights.safetensors")).isNotEmptyFile();
  }

  @Test
  void shouldLikeRed() {
    assertThat(RedEmoji.redness(pixel(255, 0, 0))).isEqualTo(1, within(1e-12));
    assertThat(RedEmoji.redness(pixel(255, 255, 255))).isEqualTo(0, within(1e-12));
    assertThat(RedEmoji.redness(pixel(0, 255, 255))).isEqualTo(-1, within(1e-12));
  }

  private static Image pixel(int red, int green, int blue) {
    return Image.of(1, 1, new byte[] {(byte) red, (byte) green, (byte) blue});
  }

  /** A real Stable Diffusion pipeline with random weights. */
  private static Path tinyModel(Path folder) throws IOException, InterruptedException {
    Process python =
        WorkerEnvironment.find()
            .process("-m", "vard_worker.testing", "tiny-sd", folder.toString())
            .inheritIO()
            .start();
    assertThat(python.waitFor()).as("exit code").isZero();
    return folder;
  }
}
