package dev.vard.serve;

import static dev.vard.serve.TestServer.ADMIN;
import static dev.vard.serve.TestServer.ANN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.vard.run.RunEnd;
import dev.vard.run.RunEvent;
import dev.vard.run.RunStatus;
import dev.vard.serve.Runs.Watch;
import dev.vard.store.RunStore.Claim;
import dev.vard.store.StoredEvent;
import dev.vard.store.StoredRun;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Watchers of runs that the test itself moves on. */
@Timeout(120)
class EventFeedTest {
  private static final Duration SHORT = Duration.ofMillis(50);
  private static final Duration LONG = Duration.ofSeconds(30);

  @TempDir private Path folder;
  private TestServer server;
  private StoredRun run;
  private Claim claim;

  @BeforeEach
  void beginARun() {
    server = new TestServer(folder, TestServer.h2(folder), "one", List.of("127.0.0.1:1"));
    run = server.create(ANN);
    claim = server.store.claim(run.id(), "test").orElseThrow();
  }

  @AfterEach
  void endServer() {
    server.close();
  }

  /** As another process would: the feed is not told. */
  private void tell(int events) {
    for (int i = 0; i < events; i++) {
      claim.journal().tell(List.of(new RunEvent.Checkpointed(i, 10, 0.5)));
    }
  }

  private void end() {
    server.store.release(
        claim, new RunEnd(RunStatus.FAILED, "X", "because", Optional.empty(), Optional.empty()));
  }

  private Watch watch(long after) {
    return server.runs.watch(ADMIN, run.id(), after);
  }

  private List<Long> all(long after) throws InterruptedException {
    return server.watchToTheEnd(run.id(), after).stream().map(StoredEvent::sequence).toList();
  }

  private static List<Long> numbers(long first, long last) {
    return LongStream.rangeClosed(first, last).boxed().toList();
  }

  @Test
  void shouldGiveWhatWasThenWhatComes() throws InterruptedException {
    try (Watch watch = watch(0)) {
      assertThat(watch.next(SHORT)).map(StoredEvent::sequence).contains(1L);
      assertThat(watch.next(SHORT)).map(StoredEvent::sequence).contains(2L);
      assertThat(watch.next(SHORT)).isEmpty();
      assertThat(watch.ended()).isFalse();

      tell(1);

      assertThat(watch.next(LONG)).map(StoredEvent::sequence).contains(3L);
    }
  }

  @Test
  void shouldEndWithTheRun() throws InterruptedException {
    tell(3);
    end();

    try (Watch watch = watch(5)) {
      assertThat(watch.ended()).isFalse();
      assertThat(watch.next(LONG)).map(StoredEvent::sequence).contains(6L);
      assertThat(watch.ended()).isTrue();
      assertThat(watch.next(LONG)).isEmpty();
    }
  }

  @Test
  void shouldGoOnWithARunThatIsResumed() throws InterruptedException {
    end();
    try (Watch watch = watch(3)) {
      assertThat(watch.ended()).isTrue();
    }
    server.store.resume(run.id());

    try (Watch watch = watch(3)) {
      assertThat(watch.next(LONG)).map(StoredEvent::sequence).contains(4L);
      assertThat(watch.ended()).isFalse();
    }
  }

  @Test
  void shouldGiveEachEventOnceFromAnyNumberOn() throws InterruptedException {
    tell(150);
    end();

    for (long after : new long[] {0, 1, 31, 32, 33, 64, 100, 152}) {
      assertThat(all(after)).isEqualTo(numbers(after + 1, 153));
    }
    assertThat(all(153)).isEmpty();
    assertThat(all(1_000)).isEmpty();
  }

  @Test
  void shouldMissNothingAndDoubleNothingHoweverOftenWatchersComeBack() throws Exception {
    try (ExecutorService watchers = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<List<Long>>> seen = new ArrayList<>();
      for (int i = 0; i < 200; i++) {
        int stay = 1 + i % 17;
        Callable<List<Long>> watcher =
            () -> {
              List<Long> mine = new ArrayList<>();
              boolean ended = false;
              while (!ended) {
                try (Watch watch = watch(mine.isEmpty() ? 0 : mine.getLast())) {
                  for (int given = 0; given < stay && !watch.ended(); given++) {
                    watch.next(LONG).ifPresent(event -> mine.add(event.sequence()));
                  }
                  ended = watch.ended();
                }
              }
              return mine;
            };
        seen.add(watchers.submit(watcher));
      }
      for (int i = 0; i < 100; i++) {
        tell(1);
        if (i % 3 == 0) {
          server.feed.changed(run.id());
        }
      }
      end();

      for (Future<List<Long>> mine : seen) {
        assertThat(mine.get()).isEqualTo(numbers(1, 103));
      }
    }
    assertThat(server.feed.watched()).isZero();
  }

  @Test
  void shouldLetGoAtOnceWhenClosedBySomebodyElse() throws Exception {
    Watch watch = watch(2);
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      Future<Optional<StoredEvent>> next = threads.submit(() -> watch.next(LONG));
      watch.close();
      watch.close();

      assertThat(next.get()).isEmpty();
    }
    assertThat(server.feed.watched()).isZero();
  }

  @Test
  void shouldEndWithARunThatIsDeleted() throws InterruptedException {
    end();
    server.store.resume(run.id());
    try (Watch watch = watch(4)) {
      server.runs.delete(ADMIN, run.id());

      assertThat(watch.next(LONG)).isEmpty();
      assertThat(watch.ended()).isTrue();
    }
  }

  @Test
  void shouldSendWatchersAwayWhenTheServerStops() {
    Watch watch = watch(2);
    server.feed.close();

    assertThat(catchThrowableOfType(RequestException.class, () -> watch.next(LONG)).code())
        .isEqualTo(RequestException.Code.UNAVAILABLE);
  }
}
