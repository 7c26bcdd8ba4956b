package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.run.Checkpoint;
import dev.vard.run.Round;
import dev.vard.run.RunEvent;
import dev.vard.run.RunJournal;
import dev.vard.run.RunStatus;
import dev.vard.store.RunStore.Claim;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The database commits, and the connection breaks before that is heard of: it is written once. */
class LostCommitTest {
  private static final Round ROUND = new Round(Round.Kind.COLLECT, 1);
  private static EmbeddedPostgres postgres;

  private CuttingProxy proxy;
  private OpenStore open;
  private RunStore store;
  private Claim claim;
  private RunJournal journal;

  @BeforeAll
  static void startPostgres() throws IOException {
    postgres = EmbeddedPostgres.start();
  }

  @AfterAll
  static void stopPostgres() throws IOException {
    postgres.close();
  }

  @BeforeEach
  void start() throws IOException {
    proxy = new CuttingProxy(postgres.getPort());
    open =
        OpenStore.open(
            Database.postgresql(
                    "jdbc:postgresql://localhost:" + proxy.port() + "/postgres?prepareThreshold=0",
                    "postgres",
                    "")
                .properties());
    store = open.store();
    store.create(Made.run("a", "alice", 0));
    claim = store.claim("a", "here").orElseThrow();
    journal = claim.journal();
    proxy.arm();
  }

  @AfterEach
  void end() {
    if (store.find("a").orElseThrow().status() == RunStatus.RUNNING) {
      store.release(claim, Made.end(RunStatus.FAILED));
    }
    store.delete("a");
    open.close();
    proxy.close();
  }

  private void assertEvents(int count) {
    assertThat(proxy.cuts()).isEqualTo(1);
    assertThat(store.events("a", 0, 100))
        .extracting(StoredEvent::sequence)
        .containsExactlyElementsOf(LongStream.rangeClosed(1, count).boxed().toList());
  }

  @Test
  void shouldCommitAStepOnce() {
    journal.commit(Made.state(0), List.of(Made.event(1)));

    assertEvents(3);
    assertThat(journal.state()).contains(Made.state(0));
  }

  @Test
  void shouldTellEventsOnce() {
    journal.tell(List.of(Made.event(1), Made.event(2)));

    assertEvents(4);
  }

  @Test
  void shouldKeepAnAnswerOnce() {
    journal.answered(ROUND, 0, Made.score(-0.0), "");

    assertEvents(2);
    assertThat(journal.answers(ROUND)).isEqualTo(Map.of(0, Made.score(-0.0)));
  }

  @Test
  void shouldKeepACheckpointOnce() {
    Checkpoint checkpoint = new Checkpoint(Made.state(0), "checkpoints/1", 10);

    journal.checkpointed(checkpoint, new RunEvent.Checkpointed(1, 10, 0.5));

    assertEvents(3);
    assertThat(journal.checkpoints()).containsExactly(checkpoint);
  }

  @Test
  void shouldLetARunGoOnceWhenItIsTriedAgain() {
    try {
      store.release(claim, Made.end(RunStatus.PAUSED));
    } catch (StoreException e) {
      assertThat(e.kind()).isEqualTo(StoreException.Kind.UNAVAILABLE);
    }

    assertThat(store.release(claim, Made.end(RunStatus.PAUSED)).status())
        .isEqualTo(RunStatus.PAUSED);
    assertEvents(3);
  }
}
