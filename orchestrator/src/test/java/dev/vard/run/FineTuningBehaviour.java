package dev.vard.run;

import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.reward.Reward;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecReader;
import dev.vard.worker.WorkerClient;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * One behaviour of whole runs against a real gRPC server with a worker of few lines behind it: what
 * its tests begin with.
 */
@Timeout(120)
abstract class FineTuningBehaviour {
  private static final String SPEC =
      """
      name: test
      model: {checkpoint: owner/name}
      prompts: {list: [a cat, a dog]}
      reward: {kind: supplied}
      algorithm:
        kind: vard
        iterations: 3
        samples: 4
        value: {warmup: 1, replay: 2}
        policy: {steps: 2}
        kl: {budget: 10}
      evaluate: {every: 2, images: 5}
      """;

  /** The grey of the image. */
  static final Reward BRIGHTNESS = Reward.of("brightness", (image, prompt) -> image.at(0, 0, 0));

  @TempDir Path folder;
  FakeWorker worker;
  final List<RunEvent> events = new ArrayList<>();

  @BeforeEach
  void startWorker() throws IOException {
    worker = new FakeWorker();
  }

  @AfterEach
  void endWorker() {
    worker.close();
  }

  static RunSpec spec(String... overrides) {
    return new SpecReader(Path.of(""), 1).read(SPEC, "test.yaml", Path.of(""), List.of(overrides));
  }

  final RunResult run(RunSpec spec, Reward reward) {
    try (WorkerClient client = worker.connect()) {
      return new FineTuning(spec, reward)
          .run(client, RunFolder.at(folder.resolve("run"), spec), events::add);
    }
  }

  final RunException failure(RunSpec spec, Reward reward) {
    return catchThrowableOfType(RunException.class, () -> run(spec, reward));
  }

  final List<JsonNode> metrics() throws IOException {
    List<JsonNode> lines = new ArrayList<>();
    for (String line : Files.readAllLines(folder.resolve("run/metrics.jsonl"))) {
      lines.add(new ObjectMapper().readTree(line));
    }
    return lines;
  }
}
