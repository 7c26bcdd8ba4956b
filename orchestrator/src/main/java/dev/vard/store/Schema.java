package dev.vard.store;

import io.micronaut.context.annotation.Requires;
import io.micronaut.data.jdbc.runtime.JdbcOperations;
import jakarta.inject.Singleton;
import java.sql.ResultSet;
import javax.sql.DataSource;

/**
 * The version of the tables. Flyway brings older ones up to date, and takes newer ones for good.
 */
@Singleton
@Requires(beans = DataSource.class)
final class Schema {
  /** The last migration in {@code db/migration}. */
  static final int VERSION = 2;

  private final JdbcOperations jdbc;
  private final Transactions transactions;

  Schema(JdbcOperations jdbc, Transactions transactions) {
    this.jdbc = jdbc;
    this.transactions = transactions;
  }

  /**
   * @throws StoreException UNUSABLE, if a newer program made the tables
   */
  void check() {
    int found =
        transactions.read(
            () ->
                jdbc.prepareStatement(
                    "select max(cast(version as integer)) from flyway_schema_history"
                        + " where success and version is not null",
                    statement -> {
                      try (ResultSet result = statement.executeQuery()) {
                        result.next();
                        return result.getInt(1);
                      }
                    }));
    if (found > VERSION) {
      throw new StoreException(
          StoreException.Kind.UNUSABLE,
          "the database was written by a newer vard: its schema is version "
              + found
              + ", this program knows "
              + VERSION
              + "; upgrade vard, or use another database");
    }
  }
}
