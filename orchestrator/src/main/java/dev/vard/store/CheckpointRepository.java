package dev.vard.store;

import io.micronaut.data.annotation.Embeddable;
import io.micronaut.data.annotation.EmbeddedId;
import io.micronaut.data.annotation.MappedEntity;
import io.micronaut.data.annotation.MappedProperty;
import io.micronaut.data.annotation.Query;
import io.micronaut.data.jdbc.annotation.JdbcRepository;
import io.micronaut.data.model.query.builder.sql.Dialect;
import io.micronaut.data.repository.GenericRepository;
import java.util.List;

/** The checkpoints that runs can go on from. */
@JdbcRepository(dialect = Dialect.POSTGRES)
interface CheckpointRepository
    extends GenericRepository<CheckpointRepository.CheckpointRow, CheckpointRepository.Key> {

  @Embeddable
  record Key(@MappedProperty("run_id") String runId, @MappedProperty("folder") String folder) {}

  /**
   * @param sequence of the event that told of it
   * @param state as {@link StateJson} writes it
   */
  @MappedEntity("checkpoint")
  record CheckpointRow(@EmbeddedId Key key, long sequence, long bytes, String state) {}

  CheckpointRow save(CheckpointRow row);

  boolean existsById(Key key);

  @Query("select * from checkpoint where run_id = :runId order by sequence desc")
  List<CheckpointRow> of(String runId);

  @Query("delete from checkpoint where run_id = :runId and folder = :folder")
  void remove(String runId, String folder);
}
