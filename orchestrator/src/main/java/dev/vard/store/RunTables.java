package dev.vard.store;

import dev.vard.run.RunEvent;
import dev.vard.run.RunJson;
import io.micronaut.context.annotation.Requires;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import javax.sql.DataSource;

/** What the store and its journals write to. */
@Singleton
@Requires(beans = DataSource.class)
record RunTables(
    RunRepository runs,
    EventRepository events,
    StateRepository states,
    AnswerRepository answers,
    CheckpointRepository checkpoints,
    Clock clock) {
  private static final RunJson JSON = new RunJson();

  /** In microseconds, which is what both databases keep. */
  Instant now() {
    return clock.instant().truncatedTo(ChronoUnit.MICROS);
  }

  /**
   * Appends a run's events. Whoever calls holds the lock on the run's row since before it read the
   * last number: so there is no gap, and none is given twice.
   *
   * @return the run's last number now
   */
  long append(String runId, long lastSequence, List<? extends RunEvent> more) {
    if (more.isEmpty()) {
      return lastSequence;
    }
    Instant now = now();
    long sequence = lastSequence;
    List<EventRepository.EventRow> rows = new ArrayList<>();
    for (RunEvent event : more) {
      sequence++;
      rows.add(
          new EventRepository.EventRow(
              new EventRepository.Key(runId, sequence), now, JSON.write(event)));
    }
    events.saveAll(rows);
    runs.told(runId, sequence);
    return sequence;
  }
}
