package dev.vard.run;

import dev.vard.reward.Reward;
import dev.vard.reward.Rewards;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecReader;
import dev.vard.worker.WorkerClient;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** One behaviour of a supervised run, with a worker of few lines: what its tests begin with. */
@Timeout(120)
abstract class SupervisedRunBehaviour {
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
      evaluate: {every: 2, images: 5}
      checkpoint: {keep: 2}
      threads: 1
      """;

  static final Reward BRIGHTNESS = Reward.of("brightness", (image, prompt) -> image.at(0, 0, 0));
  static final Instant NOW = Instant.parse("2026-11-23T12:00:00Z");

  @TempDir Path temp;
  FakeWorker worker;
  final TestJournal.Store store = new TestJournal.Store();
  private final List<RunEvent> events = new ArrayList<>();
  private final List<WorkerClient> clients = new ArrayList<>();
  final AtomicInteger discarded = new AtomicInteger();
  Runnable onDiscard = () -> {};

  @BeforeEach
  void startWorker() throws IOException {
    worker = new FakeWorker();
  }

  @AfterEach
  void endWorker() {
    clients.forEach(WorkerClient::close);
    worker.close();
  }

  final Path folder() {
    return temp.resolve("run");
  }

  final SupervisedRun supervised(Reward reward) {
    return supervised(() -> Rewards.of(reward));
  }

  final SupervisedRun supervised(Supplier<Rewards> rewards, RunListener... more) {
    RunSpec spec = new SpecReader(Path.of(""), 1).read(SPEC, "test.yaml", Path.of(""), List.of());
    WorkerSource source =
        new WorkerSource() {
          private WorkerClient client = connect();

          @Override
          public WorkerClient acquire() {
            return client;
          }

          @Override
          public void discard() {
            discarded.incrementAndGet();
            client.close();
            onDiscard.run();
            client = connect();
          }
        };
    return new SupervisedRun(
        spec,
        rewards,
        RunFolder.of(folder(), "run"),
        store.claim(() -> {}),
        source,
        new Backoff(Duration.ofMillis(1), Duration.ofMillis(4), new Random(3)),
        Clock.fixed(NOW, ZoneOffset.UTC),
        event -> {
          events.add(event);
          List.of(more).forEach(listener -> listener.onEvent(event));
        });
  }

  private WorkerClient connect() {
    WorkerClient client = worker.connect();
    clients.add(client);
    return client;
  }

  final RunEnd run() {
    return supervised(BRIGHTNESS).run();
  }

  final <E extends RunEvent> List<E> all(Class<E> type) {
    return events.stream().filter(type::isInstance).map(type::cast).toList();
  }

  final List<String> checkpoints() throws IOException {
    try (Stream<Path> folders = Files.list(folder().resolve("checkpoints"))) {
      return folders.map(path -> path.getFileName().toString()).sorted().toList();
    }
  }
}
