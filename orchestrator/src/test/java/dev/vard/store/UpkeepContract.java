package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.run.Checkpoint;
import dev.vard.run.RunEvent;
import dev.vard.run.RunJournal;
import dev.vard.run.RunStatus;
import dev.vard.store.RunStore.AuditEntry;
import dev.vard.store.RunStore.Claim;
import dev.vard.store.StoreException.Kind;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** The database itself: opened, asked after, brought up to date, forgotten. */
abstract class UpkeepContract extends StoreBehaviour {
  UpkeepContract(StoreFixture fixture) {
    super(fixture);
  }

  @Test
  void shouldForgetAllThatBelongsToARun() throws SQLException {
    Claim claim = running("a");
    RunJournal journal = claim.journal();
    journal.commit(Made.state(0), List.of(Made.event(1)));
    journal.answered(ROUND, 0, Made.score(1), "");
    journal.checkpointed(
        new Checkpoint(Made.state(0), "checkpoints/1", 10), new RunEvent.Checkpointed(1, 10, 0.5));
    store.release(claim, Made.end(RunStatus.DONE));
    create("b");

    store.delete("a");

    assertThat(count("run")).isEqualTo(1);
    assertThat(count("event")).isEqualTo(1);
    assertThat(count("specification")).isEqualTo(1);
    for (String table : List.of("run_state", "reward_answer", "checkpoint")) {
      assertThat(count(table)).as(table).isZero();
    }
  }

  @Test
  void shouldKeepTimesAcrossTheHourThatSummerTimeRepeats() {
    Instant autumn = Instant.parse("2026-10-25T00:30:00Z");
    for (int hour = 0; hour < 3; hour++) {
      Instant time = autumn.plus(Duration.ofHours(hour));
      store.audit(new AuditEntry(time, "alice", "peer", "CreateRun", "a", "OK"));
    }

    assertThat(store.audited(10))
        .extracting(AuditEntry::time)
        .containsExactly(
            autumn.plus(Duration.ofHours(2)), autumn.plus(Duration.ofHours(1)), autumn);
  }

  @Test
  void shouldShowTheNewestAuditEntriesFirst() {
    List<AuditEntry> entries =
        IntStream.range(0, 3)
            .mapToObj(
                i -> new AuditEntry(clock.instant(), "alice", "[::1]", "CreateRun", "r" + i, "OK"))
            .toList();

    entries.forEach(store::audit);

    assertThat(store.audited(2)).containsExactly(entries.get(2), entries.get(1));
  }

  @Test
  void shouldProbe() {
    store.probe();
  }

  @Test
  void shouldOpenTheSameDatabaseAgain() {
    create("a");

    try (OpenStore again = OpenStore.open(database.properties(), clock)) {
      assertThat(again.store().find("a")).isPresent();
    }
  }

  @Test
  void shouldBringTablesUpToDateThatWereHalfMadeWhenSomebodyWasKilled() throws SQLException {
    create("a");
    sql("drop table scheduled_tasks");
    sql("delete from flyway_schema_history where version is not null");

    try (OpenStore again = OpenStore.open(database.properties(), clock)) {
      assertThat(again.store().find("a")).isPresent();
    }
    assertThat(count("scheduled_tasks")).isZero();
  }

  @Test
  void shouldRefuseTablesOfANewerProgram() throws SQLException {
    sql(
        "insert into flyway_schema_history (installed_rank, version, description, type, script,"
            + " checksum, installed_by, execution_time, success) values (99, '"
            + (Schema.VERSION + 1)
            + "', 'later', 'SQL', 'V2__later.sql', 1, 'somebody', 1, true)");
    try {
      assertThatThrownBy(() -> OpenStore.open(database.properties(), clock).close())
          .isInstanceOfSatisfying(
              StoreException.class, e -> assertThat(e.kind()).isEqualTo(Kind.UNUSABLE))
          .hasMessageContaining("newer vard")
          .hasMessageContaining("upgrade vard");
    } finally {
      sql("delete from flyway_schema_history where installed_rank = 99");
    }
  }
}
