package dev.vard.store;

import io.micronaut.data.annotation.Embeddable;
import io.micronaut.data.annotation.EmbeddedId;
import io.micronaut.data.annotation.MappedEntity;
import io.micronaut.data.annotation.MappedProperty;
import io.micronaut.data.annotation.Query;
import io.micronaut.data.jdbc.annotation.JdbcRepository;
import io.micronaut.data.model.query.builder.sql.Dialect;
import io.micronaut.data.repository.GenericRepository;
import java.time.Instant;
import java.util.List;

/** The events of all runs. */
@JdbcRepository(dialect = Dialect.POSTGRES)
interface EventRepository extends GenericRepository<EventRepository.EventRow, EventRepository.Key> {

  @Embeddable
  record Key(@MappedProperty("run_id") String runId, @MappedProperty("sequence") long sequence) {}

  @MappedEntity("event")
  record EventRow(@EmbeddedId Key key, Instant happenedAt, String json) {
    StoredEvent event() {
      return new StoredEvent(key.runId(), key.sequence(), happenedAt, json);
    }
  }

  void saveAll(List<EventRow> rows);

  @Query(
      """
      select run_id, sequence, happened_at, json from event
      where run_id = :runId and sequence > :after order by sequence limit :limit
      """)
  List<EventRow> after(String runId, long after, int limit);

  @Query("select json from event where run_id = :runId order by sequence")
  List<String> lines(String runId);
}
