package dev.vard.store;

import java.nio.file.Path;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Where the runs are kept: in a file (H2), or in PostgreSQL.
 *
 * @param url {@code jdbc:h2:…} or {@code jdbc:postgresql:…}
 */
public record Database(String url, String user, String password) {

  /**
   * What makes H2 take the same SQL, and keep what was committed.
   *
   * <ul>
   *   <li>{@code WRITE_DELAY=0}: a commit is written to the file before it returns, so that a kill
   *       -9 loses nothing (H2 would wait half a second). It is flushed to the disk by {@link
   *       H2Upkeep}: a power cut may lose the last seconds, and PostgreSQL is there for those who
   *       cannot have that.
   *   <li>{@code RETENTION_TIME}: what is overwritten or deleted keeps its place in the file until
   *       its successors are on the disk for certain. H2 waits 45 s, for it flushes nothing; with
   *       200 runs made and deleted the file grew beyond 100 MB.
   *   <li>{@code TIME ZONE=UTC}: a zone with summer time has an hour twice.
   *   <li>{@code DB_CLOSE_ON_EXIT=FALSE}: at SIGTERM runs are still being written down.
   * </ul>
   */
  private static final String H2_SETTINGS =
      ";MODE=PostgreSQL;DATABASE_TO_LOWER=TRUE;DEFAULT_NULL_ORDERING=HIGH;TIME ZONE=UTC"
          + ";WRITE_DELAY=0;RETENTION_TIME="
          + 2 * H2Upkeep.FLUSH.toMillis()
          + ";LOCK_TIMEOUT=10000;DB_CLOSE_ON_EXIT=FALSE;TRACE_LEVEL_FILE=0";

  private static final String POSTGRESQL = "jdbc:postgresql:";

  /**
   * A network that swallows packets must not hold a run for longer than these seconds. The
   * database's own failures are told at once.
   */
  private static final Map<String, String> POSTGRESQL_SETTINGS =
      Map.of("connectTimeout", "5", "socketTimeout", "30", "tcpKeepAlive", "true");

  /** Enough for a machine's runs and those who watch them. */
  private static final int CONNECTIONS = 10;

  private static final int CONNECTION_TIMEOUT_MS = 3_000;

  /**
   * A file; it is made where there is none. Of one process at a time.
   *
   * @param path without the ending {@code .mv.db}
   * @throws IllegalArgumentException if there is a ';' in it, which H2 cannot have
   */
  public static Database file(Path path) {
    String name = path.toAbsolutePath().normalize().toString();
    if (name.contains(";")) {
      throw new IllegalArgumentException(
          name + ": a database's file cannot have a ';' in its path; use another folder");
    }
    // async: because an interrupt closes the file of a thread that reads or writes it otherwise,
    // and runs are stopped by interrupts.
    return new Database("jdbc:h2:async:" + name + H2_SETTINGS, "sa", "");
  }

  /**
   * @param url {@code jdbc:postgresql://host/database}
   * @throws IllegalArgumentException if it is another one
   */
  public static Database postgresql(String url, String user, String password) {
    if (!url.startsWith(POSTGRESQL)) {
      throw new IllegalArgumentException(
          "the database's URL must begin with jdbc:postgresql: (as jdbc:postgresql://host/vard);"
              + " leave it out to keep the runs in a file");
    }
    StringBuilder all = new StringBuilder(url);
    POSTGRESQL_SETTINGS.entrySet().stream()
        .filter(setting -> !url.contains(setting.getKey() + "="))
        .sorted(Map.Entry.comparingByKey())
        .forEach(
            setting ->
                all.append(all.indexOf("?") < 0 ? '?' : '&')
                    .append(setting.getKey())
                    .append('=')
                    .append(setting.getValue()));
    return new Database(all.toString(), user, password);
  }

  /**
   * What {@code VARD_DATABASE}, {@code VARD_DATABASE_USER} and {@code VARD_DATABASE_PASSWORD} say.
   *
   * @param file used where they say nothing
   * @throws IllegalArgumentException if they name no PostgreSQL
   */
  public static Database configured(Map<String, String> environment, Path file) {
    String url = environment.getOrDefault("VARD_DATABASE", "");
    return url.isBlank()
        ? file(file)
        : postgresql(
            url.strip(),
            environment.getOrDefault("VARD_DATABASE_USER", "vard"),
            environment.getOrDefault("VARD_DATABASE_PASSWORD", ""));
  }

  /**
   * Micronaut's configuration. Without it a context has no {@link RunStore}. Its DataSource is one
   * for transactions of the thread; other libraries want the one inside ({@code
   * DelegatingDataSource.unwrapDataSource}).
   */
  public Map<String, Object> properties() {
    Map<String, Object> properties = new HashMap<>();
    properties.put("datasources.default.url", url);
    properties.put("datasources.default.username", user);
    properties.put("datasources.default.password", password);
    properties.put("datasources.default.dialect", "POSTGRES");
    properties.put("datasources.default.schema-generate", "NONE");
    properties.put("datasources.default.maximum-pool-size", CONNECTIONS);
    properties.put("datasources.default.minimum-idle", 1);
    properties.put("datasources.default.connection-timeout", CONNECTION_TIMEOUT_MS);
    // It would log a trace each minute that the database is gone; RunStore.probe sees more, too.
    properties.put("endpoints.health.jdbc.enabled", false);
    properties.put("flyway.datasources.default.enabled", true);
    properties.put("flyway.datasources.default.locations", "classpath:db/migration");
    return properties;
  }

  /** Whether another process has the file open. */
  public static boolean heldByAnother(StoreException e) {
    return e.getCause() instanceof SQLException sql && Outage.heldByAnother(sql);
  }

  /**
   * Why a context did not start.
   *
   * @return empty if it was not the database's fault
   */
  public static Optional<StoreException> failure(Throwable start) {
    for (Throwable cause = start; cause != null; cause = cause.getCause()) {
      if (cause instanceof StoreException store) {
        return Optional.of(store);
      }
      if (cause instanceof SQLException sql) {
        return Optional.of(failure(sql));
      }
    }
    return Optional.empty();
  }

  private static StoreException failure(SQLException e) {
    if (Outage.heldByAnother(e)) {
      return new StoreException(
          StoreException.Kind.UNAVAILABLE,
          "another process has the database open; stop that one first",
          e);
    }
    return Outage.in(e)
        .map(Outage::unavailable)
        .orElseGet(
            () ->
                new StoreException(
                    StoreException.Kind.UNUSABLE,
                    "the database cannot be used: " + e.getMessage() + "; " + cure(e),
                    e));
  }

  /** A file has no address, user or password that could be wrong. */
  private static String cure(SQLException e) {
    boolean file = e.getClass().getName().startsWith("org.h2.");
    return file
        ? "its file is damaged or is not one of vard's: put the back-up back in its place"
            + " (docs/operations.md, Back-up and restore)"
        : "check VARD_DATABASE, VARD_DATABASE_USER and VARD_DATABASE_PASSWORD";
  }

  /** Without the password. */
  @Override
  public String toString() {
    return "Database[" + url.replaceAll("(?i)(password=)[^&;]*", "$1***") + ", " + user + "]";
  }
}
