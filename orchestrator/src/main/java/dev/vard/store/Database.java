package dev.vard.store;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/**
 * Where the runs are kept.
 *
 * @param url {@code jdbc:h2:…} or {@code jdbc:postgresql:…}
 */
public record Database(String url, String user, String password) {
  /** Enough for the runs of a machine and those who watch them. */
  private static final int CONNECTIONS = 10;

  private static final int CONNECTION_TIMEOUT_MS = 3_000;

  /** A file; it is made where there is none. Of one process at a time. */
  public static Database file(Path path) {
    String escaped = path.toAbsolutePath().normalize().toString().replace(";", "\\;");
    return new Database("jdbc:h2:async:" + escaped + H2_SETTINGS, "sa", "");
  }

  private static final String H2_SETTINGS =
      ";MODE=PostgreSQL;DATABASE_TO_LOWER=TRUE;DEFAULT_NULL_ORDERING=HIGH;TIME ZONE=UTC"
          + ";WRITE_DELAY=0;DB_CLOSE_ON_EXIT=FALSE;LOCK_TIMEOUT=10000;TRACE_LEVEL_FILE=0";

  /** Micronaut's configuration. */
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
    properties.put("flyway.datasources.default.enabled", true);
    properties.put("flyway.datasources.default.locations", "classpath:db/migration");
    return properties;
  }
}
