package dev.vard.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.ExportRequest;
import dev.vard.proto.v1.FitValueRequest;
import dev.vard.proto.v1.ImprovePolicyRequest;
import dev.vard.proto.v1.OpenRequest;
import dev.vard.proto.v1.RestoreRequest;
import dev.vard.proto.v1.SaveRequest;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardQuery;
import dev.vard.reward.Rewards;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecReader;
import dev.vard.worker.WorkerClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ConnectException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
class SupervisedRunTest {
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

  private static final Reward BRIGHTNESS =
      Reward.of("brightness", (image, prompt) -> image.at(0, 0, 0));
  private static final Instant NOW = Instant.parse("2026-11-23T12:00:00Z");

  @TempDir private Path temp;
  private FakeWorker worker;
  private final TestJournal.Store store = new TestJournal.Store();
  private final List<RunEvent> events = new ArrayList<>();
  private final List<WorkerClient> clients = new ArrayList<>();
  private final AtomicInteger discarded = new AtomicInteger();
  private Runnable onDiscard = () -> {};

  @BeforeEach
  void startWorker() throws IOException {
    worker = new FakeWorker();
  }

  @AfterEach
  void endWorker() {
    clients.forEach(WorkerClient::close);
    worker.close();
  }

  private Path folder() {
    return temp.resolve("run");
  }

  private SupervisedRun supervised(Reward reward) {
    return supervised(() -> Rewards.of(reward));
  }

  private SupervisedRun supervised(Supplier<Rewards> rewards, RunListener... more) {
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

  private RunEnd run() {
    return supervised(BRIGHTNESS).run();
  }

  private <E extends RunEvent> List<E> all(Class<E> type) {
    return events.stream().filter(type::isInstance).map(type::cast).toList();
  }

  private List<String> checkpoints() throws IOException {
    try (Stream<Path> folders = Files.list(folder().resolve("checkpoints"))) {
      return folders.map(path -> path.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void shouldEndDoneWithAResult() {
    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.DONE);
    assertThat(end.result().orElseThrow().rewardQueries()).isEqualTo(12);
    assertThat(discarded).hasValue(0);
  }

  @Test
  void shouldGiveTheSameResultWhenAskedAgainAfterTheEnd() {
    RunEnd first = run();
    int requests = worker.requests.size();

    RunEnd second = run();

    assertThat(second.result()).isEqualTo(first.result());
    assertThat(worker.requests).hasSize(requests);
  }

  @Test
  void shouldGoOnWithAnotherWorkerWhenOneIsLost() {
    worker.refuse(FitValueRequest.class, ErrorCode.INTERNAL, "lost");
    onDiscard = () -> worker.relent(FitValueRequest.class);

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.DONE);
    assertThat(discarded).hasValue(1);
    assertThat(all(RunEvent.Recovered.class))
        .singleElement()
        .satisfies(
            event -> {
              assertThat(event.reasonCode()).isEqualTo("INTERNAL");
              assertThat(event.reason()).isEqualTo("while fitting the value in iteration 1: lost");
            });
  }

  @Test
  void shouldGoOnFromTheLastCheckpoint() {
    worker.refuseFrom(ImprovePolicyRequest.class, 1, ErrorCode.OUT_OF_MEMORY, "no room");
    onDiscard = () -> worker.relent(ImprovePolicyRequest.class);

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.DONE);
    assertThat(all(RunEvent.Recovered.class))
        .singleElement()
        .satisfies(event -> assertThat(event.iteration()).isEqualTo(2));
    assertThat(worker.all(RestoreRequest.class)).hasSize(1);
    assertThat(worker.all(OpenRequest.class)).hasSize(1);
  }

  @Test
  void shouldPauseWhenMemoryRunsOutAgainAndAgain() {
    worker.refuse(ImprovePolicyRequest.class, ErrorCode.OUT_OF_MEMORY, "use smaller batches");

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(end.code()).isEqualTo("OUT_OF_MEMORY");
    assertThat(end.reason()).contains("use smaller batches");
    assertThat(end.retryAt()).as("somebody has to look").isEmpty();
  }

  @Test
  void shouldTryAgainLaterWhenNoWorkerIsToBeHad() {
    worker.close();

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(end.code()).isEqualTo("WORKER_UNAVAILABLE");
    assertThat(end.retryAt().orElseThrow()).isAfter(NOW);
    assertThat(discarded).hasValue(4);
  }

  @Test
  void shouldFailWhenANewWorkerHasTheSameDefect() {
    worker.refuse(FitValueRequest.class, ErrorCode.INTERNAL, "TypeError: <object at 0x7f01>");
    onDiscard =
        () ->
            worker.refuse(
                FitValueRequest.class, ErrorCode.INTERNAL, "TypeError: <object at 0x7e02>");

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.FAILED);
    assertThat(end.code()).isEqualTo("INTERNAL");
    assertThat(end.reason())
        .isEqualTo(
            "while fitting the value in iteration 1: TypeError: <object at 0x7e02>: 2"
                + " attempts came no further, so this is a defect that none will mend; report it"
                + " with the worker's log");
    assertThat(worker.all(FitValueRequest.class)).hasSize(2);
  }

  @Test
  void shouldFailWhenEachWorkerHasAnotherDefect() {
    AtomicInteger defects = new AtomicInteger();
    onDiscard =
        () ->
            worker.refuse(
                FitValueRequest.class, ErrorCode.INTERNAL, "defect " + defects.getAndIncrement());
    worker.refuse(FitValueRequest.class, ErrorCode.INTERNAL, "the first");

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.FAILED);
    assertThat(worker.all(FitValueRequest.class)).hasSize(4);
  }

  @Test
  void shouldTakeASecondDefectFurtherOnForANewOne() {
    worker.refuseFrom(FitValueRequest.class, 1, ErrorCode.INTERNAL, "lost");
    onDiscard =
        () -> {
          worker.relent(FitValueRequest.class);
          if (discarded.get() == 1) {
            worker.refuse(ImprovePolicyRequest.class, ErrorCode.INTERNAL, "lost");
          } else {
            worker.relent(ImprovePolicyRequest.class);
          }
        };

    RunEnd end = run();

    assertThat(end.status()).as(end.reason()).isEqualTo(RunStatus.DONE);
    assertThat(discarded).hasValue(2);
  }

  @Test
  void shouldWaitForSomebodyWhenAWorkerDoesNotKeepItsPlaceAgainAndAgain() {
    worker.refuse(ImprovePolicyRequest.class, ErrorCode.OUT_OF_ORDER, "7 does not follow 5");

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(end.reason())
        .endsWith("7 does not follow 5: 4 attempts came no further; look into the worker's log");
    assertThat(end.retryAt()).as("time mends it not").isEmpty();
  }

  @Test
  void shouldFailAtOnceWhenTheModelCannotBeLoaded() {
    worker.refuse(OpenRequest.class, ErrorCode.MODEL_NOT_LOADABLE, "no such model");

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.FAILED);
    assertThat(end.code()).isEqualTo("MODEL_NOT_LOADABLE");
    assertThat(worker.all(OpenRequest.class)).hasSize(1);
  }

  @Test
  void shouldPauseWhenARewardFailsAndAskNothingTwiceWhenItIsMended() {
    AtomicInteger asked = new AtomicInteger();
    Reward fickle =
        Reward.of(
            "fickle",
            (image, prompt) -> {
              if (asked.incrementAndGet() == 8) {
                throw new IllegalStateException("no credit");
              }
              return image.at(0, 0, 0);
            });
    RunEnd paused = supervised(fickle).run();
    assertThat(paused.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(paused.code()).isEqualTo("REWARD_FAILED");
    assertThat(paused.retryAt()).isEmpty();

    RunEnd end = supervised(fickle).run();

    assertThat(end.status()).isEqualTo(RunStatus.DONE);
    assertThat(asked)
        .as("each query once, and once more the one that failed")
        .hasValue(12 + 15 + 1);
  }

  @Test
  void shouldTryAgainByItselfWhenTimeMayMendTheReward() throws Exception {
    Reward away =
        new Reward() {
          @Override
          public String name() {
            return "away";
          }

          @Override
          public List<RewardOutcome> score(List<RewardQuery> queries) throws IOException {
            throw new ConnectException("refused");
          }
        };

    RunEnd paused = supervised(away).run();

    assertThat(paused.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(paused.code()).isEqualTo("REWARD_FAILED");
    assertThat(paused.reason()).contains("reward away: threw java.net.ConnectException: refused");
    assertThat(paused.retryAt()).isPresent();
  }

  @Test
  void shouldGoOnWithImagesThatWaitedForTheirScoresWhenItWasCancelled() throws Exception {
    AtomicInteger asked = new AtomicInteger();
    CountDownLatch stuck = new CountDownLatch(1);
    Reward slow =
        Reward.of(
            "slow",
            (image, prompt) -> {
              if (asked.incrementAndGet() == 12) { // the third of iteration 2
                stuck.countDown();
                try {
                  new CountDownLatch(1).await();
                } catch (InterruptedException e) {
                  throw new IllegalStateException(e);
                }
              }
              return image.at(0, 0, 0);
            });
    RunListener cancel =
        event -> {
          if (event.equals(new RunEvent.PhaseStarted(2, RunEvent.Phase.SCORE))) {
            try {
              stuck.await();
            } catch (InterruptedException e) {
              throw new IllegalStateException(e);
            }
            Thread.currentThread().interrupt();
          }
        };
    assertThat(supervised(() -> Rewards.of(slow), cancel).run().status())
        .isEqualTo(RunStatus.CANCELLED);
    Path pending = folder().resolve("pending/0002");
    assertThat(pending).isNotEmptyDirectory();

    RunEnd end = supervised(slow).run();

    assertThat(end.status()).as(end.reason()).isEqualTo(RunStatus.DONE);
    assertThat(pending).doesNotExist();
    assertThat(asked)
        .as("each query once, and once more the one that was not answered")
        .hasValue(12 + 15 + 1);
  }

  @Test
  void shouldPauseWhenTheRewardCannotBeOpened() throws Exception {
    Supplier<Rewards> missing =
        () -> {
          throw new RewardException("clicks", "NOT_FOUND", "there is no such class", false, null);
        };

    RunEnd paused = supervised(missing).run();

    assertThat(paused.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(paused.reason())
        .isEqualTo(
            "while the reward was opened: reward clicks: there is no such class (NOT_FOUND)");
    assertThat(paused.retryAt()).isEmpty();
  }

  @Test
  void shouldPauseAndGoOnWhenTheDiskIsFullForAWhile() {
    worker.refuse(SaveRequest.class, ErrorCode.STORAGE, "no space left on device");
    RunEnd paused = run();
    assertThat(paused.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(paused.code()).isEqualTo("STORAGE");
    assertThat(paused.retryAt()).isPresent();

    worker.relent(SaveRequest.class);

    assertThat(run().status()).isEqualTo(RunStatus.DONE);
  }

  @Test
  void shouldPauseAndGoOnWhenThereIsNoRoomForAnEvent() {
    RunEnd paused =
        supervised(
                () -> Rewards.of(BRIGHTNESS),
                event -> {
                  if (event instanceof RunEvent.IterationFinished) {
                    fill(folder().resolve("metrics.jsonl"));
                  }
                })
            .run();

    assertThat(paused.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(paused.code()).isEqualTo("STORAGE");
    assertThat(paused.retryAt()).isPresent();
    assertThat(paused.reason())
        .isEqualTo(
            folder().resolve("metrics.jsonl") + " cannot be written: No space left on device");

    assertThat(run().status()).isEqualTo(RunStatus.DONE);
    assertThat(folder().resolve("metrics.jsonl")).content().contains("\"iteration\":3");
  }

  /** From now on the file is one on a disk that has no room. */
  private static void fill(Path file) {
    try {
      Files.delete(file);
      Files.createSymbolicLink(file, Path.of("/dev/full"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void shouldPauseWhenTheFolderIsOutOfReach() throws IOException {
    worker.refuse(SaveRequest.class, ErrorCode.STORAGE, "no space left on device");
    run();
    worker.relent(SaveRequest.class);
    Files.move(folder(), temp.resolve("elsewhere"));

    RunEnd paused = run();

    assertThat(paused.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(paused.reason()).contains("is not there or cannot be read: bring it back");
    assertThat(folder()).doesNotExist();

    Files.move(temp.resolve("elsewhere"), folder());
    assertThat(run().status()).isEqualTo(RunStatus.DONE);
  }

  @Test
  void shouldKeepTheLastCheckpoints() throws IOException {
    run();

    assertThat(checkpoints()).hasSize(2).allMatch(name -> name.endsWith("-g1"));
    assertThat(all(RunEvent.Checkpointed.class))
        .extracting(e -> e.iteration())
        .containsExactly(1, 2, 3);
  }

  @Test
  void shouldUseTheCheckpointBeforeADamagedOneAndNameIt() throws IOException {
    worker.refuse(ExportRequest.class, ErrorCode.STORAGE, "no space left on device");
    run();
    worker.relent(ExportRequest.class);
    String newest = checkpoints().getLast();
    Files.writeString(folder().resolve("checkpoints").resolve(newest).resolve("session"), "torn");

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.DONE);
    assertThat(all(RunEvent.Recovered.class).getLast().reason()).contains(newest + " is damaged");
    assertThat(worker.all(RestoreRequest.class)).hasSize(2);
    assertThat(folder().resolve("checkpoints").resolve(newest + ".damaged")).exists();
  }

  @Test
  void shouldNotSetANewerCheckpointAside() throws IOException {
    worker.refuse(ExportRequest.class, ErrorCode.STORAGE, "no space left on device");
    run();
    worker.relent(ExportRequest.class);
    List<String> kept = checkpoints();
    worker.refuse(RestoreRequest.class, ErrorCode.NEWER_STATE, "its format is 4");

    RunEnd paused = run();

    assertThat(paused.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(paused.code()).isEqualTo(RunException.NEWER_STATE);
    assertThat(paused.reason()).contains("its format is 4");
    assertThat(checkpoints()).isEqualTo(kept);

    worker.relent(RestoreRequest.class);
    assertThat(run().status()).isEqualTo(RunStatus.DONE);
  }

  @Test
  void shouldRemoveWhatAKillLeftBehind() throws IOException {
    Files.createDirectories(folder().resolve("checkpoints/.0002-000009-g1.3f"));
    Files.createDirectories(folder().resolve("checkpoints/0002-000009-g1"));

    run();

    assertThat(checkpoints()).hasSize(2).doesNotContain(".0002-000009-g1.3f", "0002-000009-g1");
  }

  @Test
  void shouldEndTheSessionOfAnEarlierLife() {
    worker.refuse(FitValueRequest.class, ErrorCode.NOT_FINITE, "NaN");
    worker.refuse(dev.vard.proto.v1.CloseRequest.class, ErrorCode.INTERNAL, "not now");
    run();
    assertThat(worker.open).isTrue();
    worker.relent(FitValueRequest.class);
    worker.relent(dev.vard.proto.v1.CloseRequest.class);

    assertThat(run().status()).isEqualTo(RunStatus.DONE);
    assertThat(worker.open).isFalse();
  }

  @Test
  void shouldCancelAndLeaveACheckpointToGoOnFrom() throws Exception {
    worker.stickInSampling();
    SupervisedRun supervised = supervised(BRIGHTNESS);
    CompletableFuture<RunEnd> ended = new CompletableFuture<>();
    Thread thread = Thread.ofPlatform().start(() -> ended.complete(supervised.run()));
    worker.awaitStuck();

    thread.interrupt();

    assertThat(ended.get().status()).isEqualTo(RunStatus.CANCELLED);
    assertThat(checkpoints()).hasSize(1);
    assertThat(worker.open).as("the worker is free").isFalse();

    worker.stickNoMore();
    assertThat(run().status()).isEqualTo(RunStatus.DONE);
    assertThat(worker.all(RestoreRequest.class)).hasSize(1);
  }

  @Test
  void shouldWaitForSomebodyToGoOnWithItWhenDrained() throws Exception {
    worker.stickInSampling();
    SupervisedRun supervised = supervised(BRIGHTNESS);
    CompletableFuture<RunEnd> ended = new CompletableFuture<>();
    Thread.ofPlatform().start(() -> ended.complete(supervised.run()));
    worker.awaitStuck();

    supervised.drain();

    assertThat(ended.get().status()).isEqualTo(RunStatus.WAITING);
    assertThat(checkpoints()).hasSize(1);
  }

  @Test
  void shouldNotBeginWhatIsDrainedAlready() {
    SupervisedRun supervised = supervised(BRIGHTNESS);
    supervised.drain();

    assertThat(supervised.run().status()).isEqualTo(RunStatus.WAITING);
    assertThat(worker.requests).isEmpty();
  }

  @Test
  void shouldLetGoOfARunThatSomebodyElseClaimed() {
    Reward thief =
        Reward.of(
            "thief",
            (image, prompt) -> {
              store.claim(() -> {});
              return 1;
            });

    assertThatThrownBy(() -> supervised(thief).run()).isInstanceOf(FencedException.class);
    assertThat(discarded).hasValue(1);
  }
}
