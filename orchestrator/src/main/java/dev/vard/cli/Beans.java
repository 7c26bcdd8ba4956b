package dev.vard.cli;

import dev.vard.spec.SpecReader;
import io.micronaut.context.annotation.Factory;
import jakarta.inject.Singleton;

/** Parts that know nothing of Micronaut. */
@Factory
final class Beans {

  @Singleton
  SpecReader specReader() {
    return new SpecReader();
  }
}
