package dev.vard.serve;

import dev.vard.run.RunStatus;
import dev.vard.serve.Runs.Creation;
import dev.vard.serve.Runs.Watch;
import dev.vard.store.Database;
import dev.vard.store.RunStore;
import dev.vard.store.StoredEvent;
import dev.vard.store.StoredRun;
import io.micronaut.context.ApplicationContext;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** An orchestrator as {@code vard serve} makes it, without its APIs. */
final class TestServer implements AutoCloseable {
  static final Caller ANN = new Caller("ann", false, "127.0.0.1:1");
  static final Caller BOB = new Caller("bob", false, "127.0.0.1:2");
  static final Caller ADMIN = new Caller("root", true, "127.0.0.1:3");
  static final String SPEC =
      """
      name: test
      model: {checkpoint: tiny}
      prompts: {list: [a cat, a dog]}
      reward: {kind: jpeg-compressibility}
      algorithm:
        kind: vard
        iterations: 3
        samples: 4
        value: {warmup: 1, replay: 2}
        policy: {steps: 2}
        kl: {budget: 10}
      evaluate: {every: 2, images: 5}
      """;
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  final ApplicationContext context;
  final Runs runs;
  final RunStore store;
  final Orchestrator orchestrator;
  final Dispatcher dispatcher;
  final EventFeed feed;

  /**
   * @param folder for runs, models and database
   * @param workers of the pool
   */
  TestServer(Path folder, Database database, String instance, List<String> workers) {
    this(folder, database, instance, workers, Map.of());
  }

  TestServer(
      Path folder,
      Database database,
      String instance,
      List<String> workers,
      Map<String, Object> more) {
    try {
      Files.createDirectories(folder.resolve("models/tiny"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Map<String, Object> properties = new HashMap<>(database.properties());
    properties.put("vard.runs", folder.resolve("runs").toString());
    properties.put("vard.serve.workers", workers);
    properties.put("vard.serve.instance", instance);
    properties.put("vard.serve.model-roots", List.of(folder.resolve("models").toString()));
    properties.putAll(more);
    context = ApplicationContext.builder().banner(false).properties(properties).start();
    runs = context.getBean(Runs.class);
    store = context.getBean(RunStore.class);
    orchestrator = context.getBean(Orchestrator.class);
    dispatcher = context.getBean(Dispatcher.class);
    feed = context.getBean(EventFeed.class);
  }

  static Database h2(Path folder) {
    return Database.file(folder.resolve("database"));
  }

  StoredRun create(Caller caller, String... overrides) {
    return create(caller, 0, overrides);
  }

  StoredRun create(Caller caller, int priority, String... overrides) {
    return runs.create(caller, new Creation(SPEC, List.of(overrides), priority, "")).run();
  }

  /** Waits, by the run's own events, until it has a status. */
  StoredRun await(String id, RunStatus status) throws InterruptedException {
    long end = System.nanoTime() + PATIENCE.toNanos();
    try (Watch watch = runs.watch(ADMIN, id, 0)) {
      while (true) {
        StoredRun run = store.find(id).orElseThrow();
        if (run.status() == status) {
          return run;
        }
        if (System.nanoTime() > end) {
          throw new AssertionError("not " + status + " in time: " + run);
        }
        watch.next(Duration.ofMillis(200));
      }
    }
  }

  /** All events, from the first to the one that ends the run. */
  List<StoredEvent> watchToTheEnd(String id, long after) throws InterruptedException {
    List<StoredEvent> events = new ArrayList<>();
    try (Watch watch = runs.watch(ADMIN, id, after)) {
      while (!watch.ended()) {
        Optional<StoredEvent> next = watch.next(PATIENCE);
        next.ifPresent(events::add);
      }
    }
    return events;
  }

  @Override
  public void close() {
    context.close();
  }
}
