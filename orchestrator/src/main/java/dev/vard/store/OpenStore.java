package dev.vard.store;

import io.micronaut.context.ApplicationContext;
import java.time.Clock;
import java.util.Map;

/** A store with no server around it. */
public final class OpenStore implements AutoCloseable {
  private final ApplicationContext context;
  private final RunStore store;

  private OpenStore(ApplicationContext context, RunStore store) {
    this.context = context;
    this.store = store;
  }

  /**
   * Opens a database, and brings its tables up to date.
   *
   * @param properties of {@link Database#properties}
   * @throws StoreException UNAVAILABLE, or UNUSABLE
   */
  public static OpenStore open(Map<String, Object> properties) {
    return open(properties, Clock.systemUTC());
  }

  static OpenStore open(Map<String, Object> properties, Clock clock) {
    // No environment is guessed and no cloud asked: what the store needs is all here.
    ApplicationContext context =
        ApplicationContext.builder()
            .banner(false)
            .deduceEnvironment(false)
            .deduceCloudEnvironment(false)
            .properties(properties)
            .properties(Map.of("micronaut.health.monitor.enabled", false))
            .singletons(clock)
            .build();
    try {
      return new OpenStore(context, context.start().getBean(RunStore.class));
    } catch (RuntimeException e) {
      context.close();
      throw Database.failure(e).map(RuntimeException.class::cast).orElse(e);
    }
  }

  public RunStore store() {
    return store;
  }

  @Override
  public void close() {
    context.close();
  }
}
