package dev.vard.api;

import io.micronaut.context.annotation.Requires;
import io.micronaut.health.HealthStatus;
import io.micronaut.management.health.indicator.HealthIndicator;
import io.micronaut.management.health.indicator.HealthResult;
import io.micronaut.management.health.indicator.annotation.Readiness;
import jakarta.inject.Singleton;
import java.util.List;
import java.util.Map;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Mono;

/** A server that lets nobody in, for its tokens file is gone, is not ready. */
@Readiness
@Singleton
@Requires(property = ApiProperties.ENABLED)
final class AuthenticationIndicator implements HealthIndicator {
  private final Authenticator authenticator;

  AuthenticationIndicator(Authenticator authenticator) {
    this.authenticator = authenticator;
  }

  @Override
  public Publisher<HealthResult> getResult() {
    List<String> problems = authenticator.trouble().map(List::of).orElse(List.of());
    return Mono.just(
        HealthResult.builder(
                "authentication", problems.isEmpty() ? HealthStatus.UP : HealthStatus.DOWN)
            .details(Map.of("problems", problems))
            .build());
  }
}
