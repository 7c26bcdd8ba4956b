package dev.vard.store;

import io.micronaut.core.annotation.Nullable;
import io.micronaut.data.annotation.GeneratedValue;
import io.micronaut.data.annotation.Id;
import io.micronaut.data.annotation.MappedEntity;
import io.micronaut.data.annotation.Query;
import io.micronaut.data.jdbc.annotation.JdbcRepository;
import io.micronaut.data.model.query.builder.sql.Dialect;
import io.micronaut.data.repository.GenericRepository;
import java.time.Instant;
import java.util.List;

/** Who asked for what. */
@JdbcRepository(dialect = Dialect.POSTGRES)
interface AuditRepository extends GenericRepository<AuditRepository.AuditRow, Long> {

  @MappedEntity("audit")
  record AuditRow(
      @Id @GeneratedValue @Nullable Long id,
      Instant happenedAt,
      String who,
      String peer,
      String action,
      String target,
      String outcome) {

    static AuditRow of(RunStore.AuditEntry entry) {
      return new AuditRow(
          null,
          entry.time(),
          entry.who(),
          entry.peer(),
          entry.action(),
          entry.target(),
          entry.outcome());
    }

    RunStore.AuditEntry entry() {
      return new RunStore.AuditEntry(happenedAt, who, peer, action, target, outcome);
    }
  }

  AuditRow save(AuditRow row);

  @Query("select * from audit order by id desc limit :limit")
  List<AuditRow> newest(int limit);
}
