package dev.vard.api;

import dev.vard.serve.Runs;
import dev.vard.serve.ServeSettings;
import io.micronaut.context.annotation.Bean;
import io.micronaut.context.annotation.Factory;
import io.micronaut.context.annotation.Requires;
import jakarta.inject.Singleton;

/** Parts of the APIs that know nothing of Micronaut. */
@Factory
@Requires(property = ApiProperties.ENABLED)
final class ApiBeans {

  @Singleton
  Authenticator authenticator(ServeSettings settings) {
    return new Authenticator(settings);
  }

  @Bean(preDestroy = "close")
  @Singleton
  Streams streams(ServeSettings settings) {
    return new Streams(settings);
  }

  @Singleton
  RequestBounds bounds(ServeSettings settings) {
    return RequestBounds.of(settings);
  }

  @Bean(preDestroy = "close")
  @Singleton
  GrpcApi grpcApi(
      ServeSettings settings,
      Runs runs,
      Authenticator authenticator,
      Streams streams,
      RequestBounds bounds) {
    return new GrpcApi(settings, runs, authenticator, streams, bounds);
  }
}
