package dev.vard.store;

import io.micronaut.context.ApplicationContext;
import java.util.Map;

/** A store with no server around it. */
public final class OpenStore implements AutoCloseable {
  private final ApplicationContext context;
  private final RunStore store;

  private OpenStore(ApplicationContext context) {
    this.context = context;
    this.store = context.getBean(RunStore.class);
  }

  public static OpenStore open(Map<String, Object> properties) {
    ApplicationContext context =
        ApplicationContext.builder().banner(false).properties(properties).start();
    return new OpenStore(context);
  }

  public RunStore store() {
    return store;
  }

  @Override
  public void close() {
    context.close();
  }
}
