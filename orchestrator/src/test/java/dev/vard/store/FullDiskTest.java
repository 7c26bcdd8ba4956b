package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.run.Round;
import dev.vard.run.RunJournal;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** H2 closes itself over a full disk: it has to be opened anew when there is room again. */
class FullDiskTest {
  private static final Round ROUND = new Round(Round.Kind.COLLECT, 1);

  @TempDir private Path folder;
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private OpenStore open;
  private RunStore store;
  private RunJournal journal;

  @BeforeEach
  void start() {
    FullDisk.register();
    Database file = Database.file(folder.resolve("runs"));
    open =
        OpenStore.open(
            new Database(
                    file.url().replace("jdbc:h2:", "jdbc:h2:full:"), file.user(), file.password())
                .properties());
    store = open.store();
    store.create(Made.run("a", "alice", 0));
    journal = store.claim("a", "here").orElseThrow().journal();
  }

  @AfterEach
  void end() {
    threads.shutdownNow();
    FullDisk.FULL.set(false);
    open.close();
  }

  @Test
  void shouldWriteDownOnceAllThatWaitedForRoom() throws Exception {
    journal.commit(Made.state(0), List.of(Made.event(0)));
    FullDisk.FULL.set(true);

    List<Future<?>> writes =
        List.of(
            threads.submit(() -> journal.answered(ROUND, 0, Made.score(0.5), "")),
            threads.submit(() -> journal.commit(Made.state(1), List.of(Made.event(1)))));
    assertThatThrownBy(store::probe)
        .isInstanceOfSatisfying(
            StoreException.class,
            e -> assertThat(e.kind()).isEqualTo(StoreException.Kind.UNAVAILABLE));
    assertThat(writes).noneMatch(Future::isDone);

    FullDisk.FULL.set(false);
    for (Future<?> write : writes) {
      write.get(60, TimeUnit.SECONDS);
    }

    assertThat(journal.answers(ROUND)).isEqualTo(Map.of(0, Made.score(0.5)));
    assertThat(journal.state()).contains(Made.state(1));
    assertThat(store.events("a", 2, 10)).extracting(StoredEvent::sequence).containsExactly(3L, 4L);
    store.probe();
  }
}
