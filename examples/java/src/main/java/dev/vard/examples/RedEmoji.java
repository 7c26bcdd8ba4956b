package dev.vard.examples;

import dev.vard.reward.Image;
import dev.vard.reward.Reward;
import dev.vard.run.FineTuning;
import dev.vard.run.RunFolder;
import dev.vard.run.RunResult;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecReader;
import dev.vard.worker.WorkerClient;
import java.nio.file.Path;
import java.util.List;

/**
 * Teaches the emoji model to like red: a reward of one's own, from Java. From the project's folder,
 * after {@code ./vard setup} and once {@code ./vard run} has built the program:
 *
 * <pre>
 *   java -cp .vard/vard.jar examples/java/src/main/java/dev/vard/examples/RedEmoji.java
 * </pre>
 */
public final class RedEmoji {
  private RedEmoji() {}

  public static void main(String[] arguments) {
    Path specification = Path.of("examples/emoji-compressibility.yaml");
    List<String> changes = List.of("name=red-emoji", "reward={kind: supplied}");
    RunResult result = run(specification, Path.of("runs/red-emoji"), changes);
    System.out.printf(
        "red went from %.3f to %.3f; the LoRA is in %s%n",
        result.rewardBefore().mean(), result.rewardAfter().mean(), result.export());
  }

  static RunResult run(Path specification, Path folder, List<String> overrides) {
    RunSpec spec = new SpecReader().read(specification, overrides);
    Reward reward = Reward.of("redness", (image, prompt) -> redness(image));
    try (WorkerClient worker = FineTuning.openWorker(spec)) {
      return new FineTuning(spec, reward).run(worker, RunFolder.at(folder, spec));
    }
  }

  /** How far red is above the mean of green and blue: -1 to 1, mean over the pixels. */
  static double redness(Image image) {
    double sum = 0;
    for (int y = 0; y < image.height(); y++) {
      for (int x = 0; x < image.width(); x++) {
        sum += image.at(y, x, 0) - (image.at(y, x, 1) + image.at(y, x, 2)) / 2.0;
      }
    }
    return sum / (image.height() * image.width() * 255.0);
  }
}
