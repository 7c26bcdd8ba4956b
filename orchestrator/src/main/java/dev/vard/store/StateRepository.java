package dev.vard.store;

import io.micronaut.data.annotation.Id;
import io.micronaut.data.annotation.MappedEntity;
import io.micronaut.data.jdbc.annotation.JdbcRepository;
import io.micronaut.data.model.query.builder.sql.Dialect;
import io.micronaut.data.repository.GenericRepository;
import java.util.Optional;

/** What each run goes on from. */
@JdbcRepository(dialect = Dialect.POSTGRES)
interface StateRepository extends GenericRepository<StateRepository.StateRow, String> {

  /**
   * @param step actions done
   * @param finished whether the state holds the run's result
   * @param json as {@link StateJson} writes it
   */
  @MappedEntity("run_state")
  record StateRow(@Id String runId, long step, boolean finished, String json) {}

  Optional<StateRow> findById(String runId);

  StateRow save(StateRow row);

  StateRow update(StateRow row);
}
