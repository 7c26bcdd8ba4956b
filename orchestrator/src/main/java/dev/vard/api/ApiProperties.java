package dev.vard.api;

import dev.vard.serve.ServeSettings;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** The settings of a server, in the words of Micronaut's HTTP server. */
public final class ApiProperties {
  /** Set where the APIs are wanted: the program's other commands make none of their beans. */
  static final String ENABLED = "vard.api.enabled";

  private static final int MIN_REQUEST_BYTES = 4 << 20;

  private ApiProperties() {}

  /**
   * The properties that a context needs for its HTTP server.
   *
   * @throws SettingsException if the server must not listen there, or would let nothing through
   */
  public static Map<String, Object> of(ServeSettings settings) {
    Exposure.check(settings);
    Limits.check(settings);
    // Micronaut has -1 for any free port.
    int port = settings.httpPort() == 0 ? -1 : settings.httpPort();
    Map<String, Object> properties = new HashMap<>();
    properties.put(ENABLED, true);
    properties.put("micronaut.server.host", settings.host());
    properties.put("micronaut.server.port", port);
    properties.put("micronaut.server.max-request-size", maxRequestBytes(settings));
    properties.put("micronaut.server.max-request-buffer-size", maxRequestBytes(settings));
    properties.put("micronaut.server.netty.max-initial-line-length", 8 << 10);
    properties.put("micronaut.server.netty.max-header-size", 16 << 10);
    // Watchers hear something each 15 s; what is idle longer is nobody.
    properties.put("micronaut.server.idle-timeout", "90s");
    // Health is answered by threads of the platform, whatever holds the virtual ones' carriers;
    // those run on `virtual`.
    properties.put("micronaut.executors.blocking.type", "fixed");
    properties.put("micronaut.executors.blocking.number-of-threads", 4);
    properties.put("micronaut.executors.io.type", "fixed");
    properties.put("micronaut.executors.io.number-of-threads", 4);
    // Readiness asks the database itself, within a time.
    properties.put("endpoints.health.jdbc.enabled", false);
    // A compressor would hold events back until it has enough of them.
    properties.put("micronaut.server.netty.compression-threshold", -1);
    properties.put("endpoints.all.enabled", false);
    properties.put("endpoints.health.enabled", true);
    properties.put("endpoints.health.sensitive", false);
    properties.put("endpoints.health.details-visible", "AUTHENTICATED");
    if (!settings.certificate().isEmpty()) {
      properties.put("micronaut.server.ssl.enabled", true);
      properties.put("micronaut.server.ssl.port", port);
      properties.put("micronaut.server.ssl.key-name", "server");
      properties.put("micronaut.certificate.file.server.format", "PEM");
      properties.put("micronaut.certificate.file.server.path", absolute(settings.key()));
      properties.put(
          "micronaut.certificate.file.server.certificate-path", absolute(settings.certificate()));
      if (!settings.clientAuthority().isEmpty()) {
        properties.put("micronaut.server.ssl.trust-name", "clients");
        properties.put("micronaut.server.ssl.client-authentication", "NEED");
        properties.put("micronaut.certificate.file.clients.format", "PEM");
        properties.put(
            "micronaut.certificate.file.clients.path", absolute(settings.clientAuthority()));
      }
    }
    return properties;
  }

  /**
   * How large a request may be: one specification, however it is escaped, and what goes with it.
   */
  static int maxRequestBytes(ServeSettings settings) {
    return (int)
        Math.min(
            Integer.MAX_VALUE, Math.max(MIN_REQUEST_BYTES, 2L * settings.maxSpecificationBytes()));
  }

  private static String absolute(String file) {
    return Path.of(file).toAbsolutePath().toString();
  }
}
