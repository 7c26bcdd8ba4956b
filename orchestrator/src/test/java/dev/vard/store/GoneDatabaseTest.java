package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.run.Round;
import dev.vard.run.RunJournal;
import dev.vard.run.RunStatus;
import dev.vard.store.RunStore.Claim;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A PostgreSQL that is stopped, and comes back on the same port with the same data. */
class GoneDatabaseTest {
  private static final Round ROUND = new Round(Round.Kind.COLLECT, 1);

  @TempDir private static Path folder;
  private static EmbeddedPostgres postgres;
  private static boolean stopped;

  private final ExecutorService threads = Executors.newCachedThreadPool();
  private OpenStore open;
  private RunStore store;
  private Claim claim;
  private RunJournal journal;

  @BeforeAll
  static void startPostgres() throws IOException {
    postgres = builder().start();
  }

  @AfterAll
  static void stopPostgres() throws IOException {
    stop();
  }

  @BeforeEach
  void start() {
    open =
        OpenStore.open(
            Database.postgresql(postgres.getJdbcUrl("postgres", "postgres"), "postgres", "")
                .properties());
    store = open.store();
    store.create(Made.run("a", "alice", 0));
    claim = store.claim("a", "here").orElseThrow();
    journal = claim.journal();
  }

  @AfterEach
  void end() throws IOException {
    threads.shutdownNow();
    comeBack();
    open.close();
    try (OpenStore again =
        OpenStore.open(
            Database.postgresql(postgres.getJdbcUrl("postgres", "postgres"), "postgres", "")
                .properties())) {
      again.store().release(claim, Made.end(RunStatus.FAILED));
      again.store().delete("a");
    }
  }

  private static EmbeddedPostgres.Builder builder() {
    return EmbeddedPostgres.builder()
        .setDataDirectory(folder.resolve("data"))
        .setCleanDataDirectory(false);
  }

  private static void stop() throws IOException {
    postgres.close();
    stopped = true;
  }

  private static void comeBack() throws IOException {
    if (stopped) {
      postgres = builder().setPort(postgres.getPort()).start();
      stopped = false;
    }
  }

  @Test
  void shouldWriteDownOnceAllThatWaitedForTheDatabase() throws Exception {
    journal.commit(Made.state(0), List.of(Made.event(0)));
    stop();

    List<Future<?>> writes =
        List.of(
            threads.submit(() -> journal.answered(ROUND, 0, Made.score(0.5), "")),
            threads.submit(() -> journal.answered(ROUND, 1, Made.score(1.5), "")),
            threads.submit(() -> journal.commit(Made.state(1), List.of(Made.event(1)))));
    assertUnavailable(store::probe);
    assertThat(writes).noneMatch(Future::isDone);

    comeBack();
    for (Future<?> write : writes) {
      write.get(60, TimeUnit.SECONDS);
    }

    assertThat(journal.answers(ROUND)).isEqualTo(Map.of(0, Made.score(0.5), 1, Made.score(1.5)));
    assertThat(journal.state()).contains(Made.state(1));
    assertThat(store.events("a", 2, 10)).extracting(StoredEvent::sequence).containsExactly(3L, 4L);
    store.probe();
  }

  @Test
  void shouldGiveUpWaitingWhenItIsToldTo() throws Exception {
    stop();
    CountDownLatch interrupted = new CountDownLatch(1);
    Future<?> write =
        threads.submit(
            () -> {
              Thread.currentThread().interrupt();
              try {
                journal.answered(ROUND, 0, Made.score(0.5), "");
              } finally {
                if (Thread.currentThread().isInterrupted()) {
                  interrupted.countDown();
                }
              }
            });

    assertThatThrownBy(() -> write.get(60, TimeUnit.SECONDS))
        .isInstanceOf(ExecutionException.class)
        .cause()
        .isInstanceOfSatisfying(
            StoreException.class,
            e -> assertThat(e.kind()).isEqualTo(StoreException.Kind.UNAVAILABLE));
    assertThat(interrupted.getCount()).isZero();
  }

  @Test
  void shouldSayAtOnceThatItIsGone() throws Exception {
    stop();

    assertUnavailable(() -> store.find("a"));
    assertUnavailable(() -> store.create(Made.run("b", "alice", 0)));
    assertUnavailable(() -> store.release(claim, Made.end(RunStatus.PAUSED)));
  }

  @Test
  void shouldSayThatItCannotBeOpened() throws Exception {
    stop();

    assertUnavailable(
        () ->
            OpenStore.open(
                    Database.postgresql(postgres.getJdbcUrl("postgres", "postgres"), "postgres", "")
                        .properties())
                .close());
  }

  private static void assertUnavailable(Runnable call) {
    assertThatThrownBy(call::run)
        .isInstanceOfSatisfying(
            StoreException.class,
            e -> assertThat(e.kind()).isEqualTo(StoreException.Kind.UNAVAILABLE))
        .hasMessageContaining("the database does not answer");
  }
}
