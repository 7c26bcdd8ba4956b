package dev.vard.store;

import io.micronaut.data.annotation.Id;
import io.micronaut.data.annotation.MappedEntity;
import io.micronaut.data.annotation.Query;
import io.micronaut.data.jdbc.annotation.JdbcRepository;
import io.micronaut.data.model.query.builder.sql.Dialect;
import io.micronaut.data.repository.GenericRepository;

/** The queue's virtual time, by priority. */
@JdbcRepository(dialect = Dialect.POSTGRES)
interface QueueRepository extends GenericRepository<QueueRepository.QueueRow, Integer> {

  /**
   * @param turn the largest that was claimed
   */
  @MappedEntity("queue")
  record QueueRow(@Id int priority, long turn) {}

  @Query("insert into queue (priority, turn) values (:priority, 0) on conflict do nothing")
  void ensure(int priority);

  /** Nobody else is given a turn at this priority until the transaction ends. */
  @Query("select turn from queue where priority = :priority for update")
  long lock(int priority);

  @Query("update queue set turn = :turn where priority = :priority and turn < :turn")
  void claimed(int priority, long turn);
}
