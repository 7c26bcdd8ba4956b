package dev.vard.run;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardQuery;
import dev.vard.reward.Rewards;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecReader;
import dev.vard.worker.WorkerClient;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A run whose process dies at any point, before or after any write and any request, comes to the
 * same end as one that was left alone: the same history on the worker, the same metrics, and no
 * reward asked again that was answered.
 */
@Timeout(300)
class ExactResumeTest {
  private static final String SPEC =
      """
      name: test
      model: {checkpoint: owner/name}
      prompts: {list: [a cat, a dog]}
      reward: {kind: supplied}
      algorithm:
        kind: vard
        iterations: 3
        samples: 3
        value: {warmup: 1, replay: 2}
        policy: {steps: 2}
        kl: {budget: 10}
      evaluate: {every: 2, images: 2}
      checkpoint: {every: 2, keep: 1}
      threads: 1
      """;

  private final ObjectMapper mapper = new ObjectMapper();

  @TempDir private Path temp;

  /** The process is dead: nothing that it does from here on has any effect. */
  private static final class Killed extends Error {
    private static final long serialVersionUID = 1L;
  }

  /** One process's life: ends at a point that was fixed before it began. */
  private static final class Life {
    private final AtomicInteger left;

    Life(int points) {
      left = new AtomicInteger(points);
    }

    void point() {
      if (left.getAndDecrement() <= 0) {
        throw new Killed();
      }
    }

    WorkerClient wrap(WorkerClient worker) {
      return (WorkerClient)
          Proxy.newProxyInstance(
              WorkerClient.class.getClassLoader(),
              new Class<?>[] {WorkerClient.class},
              (proxy, method, arguments) -> {
                point();
                try {
                  return method.invoke(worker, arguments);
                } catch (InvocationTargetException e) {
                  throw e.getCause();
                } finally {
                  point();
                }
              });
    }
  }

  /** A run's world: what outlives its processes. */
  private final class World implements AutoCloseable {
    final Path root;
    final TestJournal.Store store = new TestJournal.Store();
    final RunSpec spec;
    FakeWorker worker = new FakeWorker();
    int lives;

    World(String name, String... overrides) throws IOException {
      root = temp.resolve(name);
      spec =
          new SpecReader(Path.of(""), 1).read(SPEC, "test.yaml", Path.of(""), List.of(overrides));
    }

    /** Empty if the process was killed. */
    Optional<RunResult> live(Life life) {
      lives++;
      try (WorkerClient client = worker.connect()) {
        WorkerClient mortal = life.wrap(client);
        WorkerSource source =
            new WorkerSource() {
              @Override
              public WorkerClient acquire() {
                return mortal;
              }

              @Override
              public void discard() {}
            };
        RunEnd end =
            new SupervisedRun(
                    spec,
                    () -> Rewards.open(spec.reward(), part -> reward(part.name(), life)),
                    RunFolder.of(root, "run"),
                    store.claim(life::point),
                    source,
                    new Backoff(Duration.ofMillis(1), Duration.ofMillis(2), new Random(1)),
                    Clock.systemUTC())
                .run();
        assertThat(end.status()).as(end.reason()).isEqualTo(RunStatus.DONE);
        return end.result();
      } catch (Killed e) {
        return Optional.empty();
      }
    }

    /** Fails for good for some, without regard to who asks when. */
    private Reward reward(String name, Life life) {
      return new Reward() {
        @Override
        public String name() {
          return name;
        }

        @Override
        public List<RewardOutcome> score(List<RewardQuery> queries) {
          life.point();
          return queries.stream().map(this::score).toList();
        }

        private RewardOutcome score(RewardQuery query) {
          store.asks(name + " " + query.iteration() + " " + query.seed());
          return name.equals("fickle") && query.seed() % 7 == 0
              ? new RewardOutcome.Failure("TOO_DARK", "show a light", false)
              : new RewardOutcome.Score(query.image().at(0, 0, 0));
        }
      };
    }

    void replaceWorker() throws IOException {
      worker.close();
      worker = new FakeWorker();
    }

    List<String> metrics() throws IOException {
      return WhatCounts.of(store.events());
    }

    @Override
    public void close() {
      worker.close();
    }
  }

  private record Expected(String sha256, List<String> metrics, int answers) {}

  private Expected undisturbed(String... overrides) throws IOException {
    try (World world = new World("undisturbed", overrides)) {
      RunResult result = world.live(new Life(Integer.MAX_VALUE)).orElseThrow();
      return new Expected(result.exportSha256(), world.metrics(), world.store.answers());
    }
  }

  private void check(World world, RunResult result, Expected expected) throws IOException {
    assertThat(result.exportSha256()).isEqualTo(expected.sha256());
    assertThat(world.metrics()).isEqualTo(expected.metrics());
    assertThat(world.store.paidTwice()).isEmpty();
    assertThat(world.store.answers()).isEqualTo(expected.answers());
    JsonNode last =
        mapper.readTree(Files.readAllLines(world.root.resolve("metrics.jsonl")).getLast());
    assertThat(last.get("event").asText()).isEqualTo("finished");
  }

  /** A sum of two, one of which fails now and then, with identical images asked once. */
  private static final String SUM =
      "reward={kind: sum, cache: true, on-failure: drop, most-dropped: 0.5, parts: [{kind:"
          + " supplied, name: fickle, normalise: running}, {kind: supplied, name: steady, weight:"
          + " -0.5}]}";

  static Stream<List<String>> variants() {
    return Stream.of(
        List.of(),
        List.of("algorithm.value.ahead=10"),
        List.of("algorithm.kl={budget: 10, probes: 2}", "algorithm.policy.phase-rate=0.5"),
        List.of("algorithm.staleness=1"),
        List.of("algorithm.staleness=2", "algorithm.iterations=5", "algorithm.value.ahead=10"),
        List.of(SUM),
        List.of(SUM, "algorithm.staleness=1", "checkpoint.every=1"),
        List.of(DDPO, "algorithm.staleness=1"));
  }

  private static final String DDPO = "algorithm={kind: ddpo, iterations: 3, samples: 3}";

  @ParameterizedTest
  @MethodSource("variants")
  void shouldEndAlikeWhereverTheOrchestratorDies(List<String> variant) throws IOException {
    String[] overrides = variant.toArray(String[]::new);
    Expected expected = undisturbed(overrides);
    for (int point = 0; ; point++) {
      try (World world = new World("point-" + point, overrides)) {
        Optional<RunResult> first = world.live(new Life(point));
        if (first.isPresent()) {
          check(world, first.get(), expected);
          assertThat(point).as("points that a run can die at").isGreaterThan(60);
          return;
        }
        check(world, world.live(new Life(Integer.MAX_VALUE)).orElseThrow(), expected);
      }
    }
  }

  @Test
  void shouldDropWhatTheVariantsAreMeantToDrop() throws IOException {
    assertThat(undisturbed(SUM).metrics()).anyMatch(line -> line.contains("\"dropped\":1"));
  }

  @Test
  void shouldEndAlikeHoweverOftenOrchestratorAndWorkerDie() throws IOException {
    Expected expected = undisturbed();
    Random random = new Random(11);
    int kills = 0;
    for (int repeat = 0; repeat < 25; repeat++) {
      try (World world = new World("repeat-" + repeat)) {
        Optional<RunResult> result = Optional.empty();
        while (result.isEmpty()) {
          result = world.live(new Life(10 + random.nextInt(60)));
          if (random.nextBoolean()) {
            world.replaceWorker();
          }
        }
        kills += world.lives - 1;
        check(world, result.get(), expected);
      }
    }
    assertThat(kills).isGreaterThan(50);
  }

  @Test
  void shouldEndAlikeWithDdpo() throws IOException {
    Expected expected = undisturbed(DDPO);
    for (int point = 3; point < 120; point += 7) {
      try (World world = new World("ddpo-" + point, DDPO)) {
        Optional<RunResult> result = world.live(new Life(point));
        while (result.isEmpty()) {
          result = world.live(new Life(Integer.MAX_VALUE));
        }
        check(world, result.get(), expected);
      }
    }
  }
}
