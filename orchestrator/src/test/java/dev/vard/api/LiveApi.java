package dev.vard.api;

import dev.vard.serve.Runs;
import dev.vard.serve.ServeSettings;
import io.micronaut.context.ApplicationContext;
import io.micronaut.runtime.server.EmbeddedServer;
import java.net.URI;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/** Both servers, live on loopback, over whatever runs. */
final class LiveApi implements AutoCloseable {
  private final ApplicationContext context;
  private final EmbeddedServer http;
  private final int grpcPort;

  private LiveApi(ApplicationContext context) {
    this.context = context;
    this.http = context.getBean(EmbeddedServer.class).start();
    this.grpcPort = context.getBean(GrpcApi.class).start();
  }

  /**
   * @param settings {@code vard.serve.*} without the prefix
   */
  static LiveApi start(Runs runs, Map<String, Object> settings) {
    Map<String, Object> properties = new HashMap<>();
    properties.put("vard.serve.grpc-port", 0);
    properties.put("vard.serve.http-port", 0);
    settings.forEach((name, value) -> properties.put("vard.serve." + name, value));
    properties.putAll(ApiProperties.of(settings(settings)));
    return new LiveApi(
        ApplicationContext.builder().properties(properties).singletons(runs).start());
  }

  /** Ports are free ones unless given. */
  static ServeSettings settings(Map<String, Object> settings) {
    Map<String, Object> properties = new HashMap<>();
    properties.put("vard.serve.grpc-port", 0);
    properties.put("vard.serve.http-port", 0);
    settings.forEach((name, value) -> properties.put("vard.serve." + name, value));
    try (ApplicationContext context = ApplicationContext.builder().properties(properties).start()) {
      return context.getBean(ServeSettings.class);
    }
  }

  int grpcPort() {
    return grpcPort;
  }

  URI http(String path) {
    return http.getURI().resolve(path);
  }

  GrpcApi grpc() {
    return context.getBean(GrpcApi.class);
  }

  Streams streams() {
    return context.getBean(Streams.class);
  }

  Authenticator authenticator() {
    return context.getBean(Authenticator.class);
  }

  RequestBounds bounds() {
    return context.getBean(RequestBounds.class);
  }

  /** Waits for something that is about to happen. */
  static void eventually(BooleanSupplier happened) {
    long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
    while (!happened.getAsBoolean()) {
      if (System.nanoTime() > deadline) {
        throw new AssertionError("it has not happened within 20 s");
      }
      LockSupport.parkNanos(Duration.ofMillis(5).toNanos());
    }
  }

  @Override
  public void close() {
    context.close();
  }
}
