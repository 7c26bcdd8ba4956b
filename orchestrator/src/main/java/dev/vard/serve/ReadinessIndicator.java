package dev.vard.serve;

import io.micronaut.context.annotation.Requires;
import io.micronaut.health.HealthStatus;
import io.micronaut.management.health.indicator.HealthIndicator;
import io.micronaut.management.health.indicator.HealthResult;
import io.micronaut.management.health.indicator.annotation.Readiness;
import jakarta.inject.Singleton;
import java.util.Map;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** {@code /health/readiness}: what {@link dev.vard.serve.Readiness} reports. */
@Readiness
@Singleton
@Requires(beans = dev.vard.serve.Readiness.class)
final class ReadinessIndicator implements HealthIndicator {
  private static final String NAME = "orchestrator";

  private final dev.vard.serve.Readiness readiness;

  ReadinessIndicator(dev.vard.serve.Readiness readiness) {
    this.readiness = readiness;
  }

  @Override
  public Publisher<HealthResult> getResult() {
    // Asks workers and the database: not on a thread that serves connections.
    return Mono.fromCallable(this::result).subscribeOn(Schedulers.boundedElastic());
  }

  private HealthResult result() {
    dev.vard.serve.Readiness.Report report = readiness.report();
    return HealthResult.builder(NAME, report.ready() ? HealthStatus.UP : HealthStatus.DOWN)
        .details(Map.of("problems", report.problems()))
        .build();
  }
}
