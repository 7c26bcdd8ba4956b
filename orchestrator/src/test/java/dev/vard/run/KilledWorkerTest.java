package dev.vard.run;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecReader;
import dev.vard.worker.TinyModel;
import dev.vard.worker.WorkerClient;
import dev.vard.worker.WorkerSecurity;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Real worker processes, killed with SIGKILL while they are at a request. */
@Timeout(300)
class KilledWorkerTest {
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
      threads: 1
      """;

  @TempDir private Path temp;

  /** A worker process, killed while it is at each of these requests in turn. */
  private static final class Mortal implements WorkerSource, AutoCloseable {
    private final RunSpec spec;
    private final Path log;
    private final Deque<String> deaths;
    private List<ProcessHandle> processes = List.of();
    private WorkerClient client;
    private int starts;

    Mortal(RunSpec spec, Path log, List<String> deaths) {
      this.spec = spec;
      this.log = log;
      this.deaths = new ArrayDeque<>(deaths);
    }

    @Override
    public WorkerClient acquire() {
      if (client == null) {
        List<ProcessHandle> before = ProcessHandle.current().children().toList();
        WorkerClient real = FineTuning.openWorker(spec, log, WorkerSecurity.NONE);
        processes =
            ProcessHandle.current().children().filter(child -> !before.contains(child)).toList();
        starts++;
        client =
            (WorkerClient)
                Proxy.newProxyInstance(
                    WorkerClient.class.getClassLoader(),
                    new Class<?>[] {WorkerClient.class},
                    (proxy, method, arguments) -> call(real, method, arguments));
      }
      return client;
    }

    private Object call(WorkerClient real, Method method, Object[] arguments) throws Throwable {
      if (method.getName().equals(deaths.peek())) {
        deaths.remove();
        Thread.ofPlatform().start(() -> processes.forEach(ProcessHandle::destroyForcibly));
      }
      try {
        return method.invoke(real, arguments);
      } catch (InvocationTargetException e) {
        throw e.getCause();
      }
    }

    @Override
    public void discard() {
      close();
    }

    @Override
    public void close() {
      if (client != null) {
        client.close();
        client = null;
      }
    }
  }

  private record Came(String sha256, List<String> metrics, int starts) {}

  private Came run(String name, List<String> deaths) throws IOException {
    TestJournal.Store store = new TestJournal.Store();
    int[] starts = new int[1];
    RunEnd end = end(name, deaths, store, starts);
    assertThat(end.status()).as(end.reason()).isEqualTo(RunStatus.DONE);
    return new Came(
        end.result().orElseThrow().exportSha256(), WhatCounts.of(store.events()), starts[0]);
  }

  private RunEnd end(String name, List<String> deaths, TestJournal.Store store, int[] starts) {
    RunSpec spec =
        new SpecReader()
            .read(SPEC.formatted(TinyModel.folder()), "tiny.yaml", Path.of(""), List.of());
    try (Mortal workers = new Mortal(spec, temp.resolve(name + ".log"), deaths)) {
      RunEnd end =
          new SupervisedRun(
                  spec,
                  () -> TestRewards.open(spec),
                  RunFolder.of(temp.resolve(name), "run"),
                  store.claim(() -> {}),
                  workers,
                  new Backoff(Duration.ofMillis(10), Duration.ofMillis(10), new Random(1)),
                  Clock.systemUTC())
              .run();
      assertThat(workers.deaths).as("deaths that did not come").isEmpty();
      starts[0] = workers.starts;
      return end;
    }
  }

  @Test
  void shouldWaitForSomebodyWhenWorkersDieAtTheSamePlaceAgainAndAgain() {
    RunEnd end =
        end(
            "mortal",
            List.of("fitValue", "fitValue", "fitValue", "fitValue"),
            new TestJournal.Store(),
            new int[1]);

    assertThat(end.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(end.code()).isEqualTo("WORKER_UNAVAILABLE");
    assertThat(end.reason())
        .startsWith("while fitting the value in iteration 1: ")
        .endsWith(": 4 attempts came no further; look into the worker's log");
    assertThat(end.retryAt()).as("time mends it not").isEmpty();
  }

  @Test
  void shouldComeToTheSameBitsWithWorkersThatDie() throws IOException {
    Came undisturbed = run("undisturbed", List.of());

    Came disturbed =
        run("disturbed", List.of("fitValue", "sample", "improvePolicy", "save", "export"));

    assertThat(disturbed.starts()).isGreaterThan(3);
    assertThat(disturbed.sha256()).isEqualTo(undisturbed.sha256());
    assertThat(disturbed.metrics()).isEqualTo(undisturbed.metrics());
  }
}
