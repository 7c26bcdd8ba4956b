package dev.vard.store;

import io.micronaut.context.annotation.Context;
import io.micronaut.context.annotation.Requires;
import io.micronaut.data.jdbc.runtime.JdbcOperations;
import jakarta.annotation.PreDestroy;
import java.sql.PreparedStatement;
import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Flushes H2's file to the disk every few seconds. H2 itself flushes nothing where each commit is
 * written at once; with this it may use freed room again after seconds.
 */
@Context
@Requires(property = "datasources.default.url", pattern = "jdbc:h2:.*")
final class H2Upkeep {
  /** Two of these make {@code RETENTION_TIME}. */
  static final Duration FLUSH = Duration.ofSeconds(5);

  private static final Logger LOG = LoggerFactory.getLogger(H2Upkeep.class);

  private final JdbcOperations jdbc;
  private final Transactions transactions;
  private final ScheduledExecutorService thread =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().name("vard-database-flush").daemon().factory());

  /**
   * @param store only then are there tables
   */
  H2Upkeep(JdbcOperations jdbc, Transactions transactions, RunStore store) {
    this.jdbc = jdbc;
    this.transactions = transactions;
    thread.scheduleWithFixedDelay(
        this::flush, FLUSH.toMillis(), FLUSH.toMillis(), TimeUnit.MILLISECONDS);
  }

  private void flush() {
    try {
      transactions.read(
          () -> jdbc.prepareStatement("checkpoint sync", PreparedStatement::executeUpdate));
    } catch (StoreException e) {
      // A full disk, say: whoever writes next is told.
      LOG.debug("The database was not flushed: {}", e.toString());
    } catch (RuntimeException e) {
      LOG.warn("The database was not flushed", e);
    }
  }

  /** Before the database is closed; without an interrupt, which could close its file. */
  @PreDestroy
  void close() {
    thread.shutdown();
    try {
      thread.awaitTermination(FLUSH.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
