package dev.vard.store;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import org.junit.jupiter.api.AfterAll;

class PostgresRunStoreTest extends RunStoreContract {
  private EmbeddedPostgres postgres;

  @Override
  Database database() {
    try {
      postgres = EmbeddedPostgres.start();
    } catch (IOException e) {
      throw new IllegalStateException("the embedded PostgreSQL did not start", e);
    }
    return Database.postgresql(postgres.getJdbcUrl("postgres", "postgres"), "postgres", "");
  }

  @AfterAll
  void stop() throws IOException {
    postgres.close();
  }
}
