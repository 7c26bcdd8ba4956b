package dev.vard.serve;

import static dev.vard.serve.TestServer.ADMIN;
import static dev.vard.serve.TestServer.ANN;
import static dev.vard.serve.TestServer.BOB;
import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.SaveRequest;
import dev.vard.run.FakeWorker;
import dev.vard.run.RunStatus;
import dev.vard.serve.Runs.PageRequest;
import dev.vard.serve.Runs.RunView;
import dev.vard.store.StoredEvent;
import dev.vard.store.StoredRun;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Runs on an orchestrator with a database file and a worker of few lines. */
@Timeout(180)
class ServingTest {
  @TempDir private Path folder;
  private FakeWorker worker;
  private final List<TestServer> servers = new ArrayList<>();

  @BeforeEach
  void startWorker() throws IOException {
    worker = new FakeWorker();
  }

  @AfterEach
  void endAll() {
    servers.reversed().forEach(TestServer::close);
    worker.close();
  }

  private TestServer server(String... workers) {
    TestServer server =
        new TestServer(
            folder,
            TestServer.h2(folder),
            "one",
            workers.length == 0 ? List.of(worker.address()) : List.of(workers));
    servers.add(server);
    return server;
  }

  private TestServer started() {
    TestServer server = server();
    server.orchestrator.start();
    return server;
  }

  /** The worker is busy with this run until it is cancelled. */
  private StoredRun blocker(TestServer server) throws InterruptedException {
    worker.stickInSampling();
    StoredRun blocker = server.create(ADMIN, 100);
    worker.awaitStuck();
    worker.stickNoMore();
    return blocker;
  }

  private List<String> inTheOrderTheyStarted(TestServer server, List<StoredRun> runs)
      throws InterruptedException {
    List<StoredRun> done = new ArrayList<>();
    for (StoredRun run : runs) {
      done.add(server.await(run.id(), RunStatus.DONE));
    }
    return done.stream()
        .sorted(Comparator.comparing(run -> run.startedAt().orElseThrow()))
        .map(StoredRun::id)
        .toList();
  }

  @Test
  void shouldRunWhatIsAskedFor() throws InterruptedException {
    TestServer server = started();

    StoredRun run = server.create(ANN);
    StoredRun done = server.await(run.id(), RunStatus.DONE);

    assertThat(done.exportSha256()).hasSize(64);
    assertThat(done.iteration()).isEqualTo(3);
    assertThat(
            server.runs.samples(ANN, run.id(), OptionalInt.of(3), new PageRequest(0, "")).items())
        .hasSize(5)
        .allSatisfy(sample -> assertThat(sample.prompt()).startsWith("a "))
        .extracting("path")
        .contains("samples/0003/0004.png");
    assertThat(server.runs.artifacts(ANN, run.id(), new PageRequest(0, "")).items())
        .extracting("path")
        .contains("metrics.jsonl", "spec.resolved.yaml", "samples/0003/0004.png");
  }

  @Test
  void shouldTellTheSameEventsFromAnyOneOn() throws InterruptedException {
    TestServer server = started();
    StoredRun run = server.create(ANN);

    List<StoredEvent> live = server.watchToTheEnd(run.id(), 0);
    List<StoredEvent> late = server.watchToTheEnd(run.id(), 4);

    assertThat(live)
        .extracting(StoredEvent::sequence)
        .containsExactlyElementsOf(LongStream.rangeClosed(1, live.size()).boxed().toList());
    assertThat(live.getLast().json()).contains("\"to\":\"DONE\"");
    assertThat(late).isEqualTo(live.subList(4, live.size()));
  }

  @Test
  void shouldLetOwnersTakeTurns() throws InterruptedException {
    TestServer server = started();
    StoredRun blocker = blocker(server);
    List<StoredRun> waiting = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      waiting.add(server.create(ANN));
    }
    for (int i = 0; i < 2; i++) {
      waiting.add(server.create(BOB));
    }
    List<Integer> positions =
        waiting.stream().map(run -> server.runs.get(ADMIN, run.id()).queuePosition()).toList();

    server.runs.cancel(ADMIN, blocker.id());

    assertThat(positions).containsExactly(0, 2, 4, 1, 3);
    assertThat(inTheOrderTheyStarted(server, waiting))
        .containsExactly(
            waiting.get(0).id(),
            waiting.get(3).id(),
            waiting.get(1).id(),
            waiting.get(4).id(),
            waiting.get(2).id());
  }

  @Test
  void shouldRunTheUrgentFirst() throws InterruptedException {
    TestServer server = started();
    StoredRun blocker = blocker(server);
    StoredRun late = server.create(ANN, -5);
    StoredRun ordinary = server.create(ANN, 0);
    StoredRun urgent = server.create(ANN, 7);

    server.runs.cancel(ADMIN, blocker.id());

    assertThat(inTheOrderTheyStarted(server, List.of(late, ordinary, urgent)))
        .containsExactly(urgent.id(), ordinary.id(), late.id());
  }

  @Test
  void shouldCancelARunThatWaits() throws InterruptedException {
    TestServer server = started();
    StoredRun blocker = blocker(server);
    StoredRun waiting = server.create(ANN);

    RunView cancelled = server.runs.cancel(ANN, waiting.id());

    assertThat(cancelled.run().status()).isEqualTo(RunStatus.CANCELLED);
    server.runs.cancel(ADMIN, blocker.id());
    StoredRun next = server.create(BOB);
    server.await(next.id(), RunStatus.DONE);
    assertThat(server.store.find(waiting.id()).orElseThrow().startedAt()).isEmpty();
  }

  @Test
  void shouldCancelARunningRunSoonAndGoOnWithItWhenAsked() throws InterruptedException {
    TestServer server = started();
    StoredRun run = blocker(server);

    long start = System.nanoTime();
    server.runs.cancel(ADMIN, run.id());
    server.await(run.id(), RunStatus.CANCELLED);
    Duration took = Duration.ofNanos(System.nanoTime() - start);
    server.runs.resume(ADMIN, run.id());
    StoredRun done = server.await(run.id(), RunStatus.DONE);

    assertThat(took).isLessThan(Duration.ofSeconds(2));
    assertThat(done.generation()).isEqualTo(2);
  }

  @Test
  void shouldSeeAWishToCancelThatAnotherProcessWroteDown() throws InterruptedException {
    TestServer server = started();
    StoredRun run = blocker(server);

    server.store.cancel(run.id());

    server.await(run.id(), RunStatus.CANCELLED);
  }

  @Test
  void shouldPauseWithAReasonAndGoOnByItself() throws InterruptedException {
    worker.refuse(SaveRequest.class, ErrorCode.STORAGE, "the disk is full");
    TestServer server = started();
    StoredRun run = server.create(ANN);

    StoredRun paused = server.await(run.id(), RunStatus.PAUSED);
    worker.relent(SaveRequest.class);
    StoredRun done = server.await(run.id(), RunStatus.DONE);

    assertThat(paused.reasonCode()).isEqualTo("STORAGE");
    assertThat(paused.reason()).contains("the disk is full");
    assertThat(paused.retryAt()).isPresent();
    assertThat(done.reason()).isEmpty();
  }

  @Test
  void shouldGoOnAfterADrain() throws InterruptedException {
    TestServer first = started();
    StoredRun run = blocker(first);

    boolean all = first.orchestrator.drain(Duration.ofSeconds(30));
    StoredRun drained = first.store.find(run.id()).orElseThrow();
    List<String> problems = first.orchestrator.problems();
    servers.remove(first);
    first.close();
    TestServer second = started();

    assertThat(all).isTrue();
    assertThat(drained.status()).isEqualTo(RunStatus.WAITING);
    assertThat(problems).singleElement().asString().contains("told to stop");
    assertThat(second.await(run.id(), RunStatus.DONE).generation()).isEqualTo(2);
  }

  @Test
  void shouldKeepWhatComesWhileItDrains() throws InterruptedException {
    TestServer first = started();
    first.orchestrator.drain(Duration.ofSeconds(30));
    StoredRun run = first.create(ANN);
    servers.remove(first);
    first.close();

    assertThat(started().await(run.id(), RunStatus.DONE).generation()).isEqualTo(1);
  }

  @Test
  void shouldScheduleARunWhoseMakerDiedBeforeItCould() throws InterruptedException {
    TestServer server = server();
    StoredRun run = server.create(ANN);
    server.dispatcher.deleted(run.id());

    server.orchestrator.start();

    server.await(run.id(), RunStatus.DONE);
  }

  @Test
  void shouldRunSeveralAtATimeOnAPool() throws Exception {
    try (FakeWorker other = new FakeWorker()) {
      worker.stickInSampling();
      other.stickInSampling();
      TestServer server = server(worker.address(), other.address());
      server.orchestrator.start();

      List<StoredRun> runs = List.of(server.create(ANN), server.create(ANN), server.create(ANN));
      worker.awaitStuck();
      other.awaitStuck();

      assertThat(runs)
          .extracting(run -> server.store.find(run.id()).orElseThrow().status())
          .containsExactly(RunStatus.RUNNING, RunStatus.RUNNING, RunStatus.WAITING);
    }
  }

  @Test
  void shouldTakeAWorkerThatIsWellWhereOneIsNot() throws IOException, InterruptedException {
    FakeWorker gone = new FakeWorker();
    gone.close();
    TestServer server = server(gone.address(), worker.address());
    server.orchestrator.start();

    StoredRun run = server.create(ANN);

    assertThat(server.await(run.id(), RunStatus.DONE).generation()).isEqualTo(1);
    assertThat(server.orchestrator.problems()).isEmpty();
  }

  @Test
  void shouldNotBeReadyWhileNoWorkerAnswers() throws IOException {
    FakeWorker gone = new FakeWorker();
    gone.close();

    assertThat(server(gone.address()).orchestrator.problems())
        .singleElement()
        .asString()
        .contains("no worker answers", gone.address());
  }
}
