package dev.vard.api;

import io.micronaut.context.annotation.Context;
import io.micronaut.context.annotation.Requires;
import jakarta.annotation.PreDestroy;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks each second whether who was let in still would be, and ends the streams of those who would
 * not.
 */
@Context
@Requires(property = ApiProperties.ENABLED)
final class Revocation {
  private static final Logger LOG = LoggerFactory.getLogger(Revocation.class);
  private static final long SECONDS = 1;

  private final Authenticator authenticator;
  private final Streams streams;
  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().name("revocation").daemon().factory());

  Revocation(Authenticator authenticator, Streams streams) {
    this.authenticator = authenticator;
    this.streams = streams;
    timer.scheduleWithFixedDelay(this::look, SECONDS, SECONDS, TimeUnit.SECONDS);
  }

  private void look() {
    try {
      authenticator.look();
      streams.endRevoked();
    } catch (RuntimeException e) {
      // Thrown on, it would be the last look.
      LOG.error("It could not be told whose token was taken away", e);
    }
  }

  @PreDestroy
  void close() {
    timer.shutdownNow();
  }
}
