package dev.vard.serve;

import dev.vard.serve.WorkerPool.Health;
import dev.vard.store.RunStore;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whether this orchestrator can do what it is there for: the truth, some seconds old at most.
 * Thread-safe.
 */
final class Readiness {
  private static final Logger LOG = LoggerFactory.getLogger(Readiness.class);
  private static final Duration AGE = Duration.ofSeconds(3);
  private static final Duration PATIENCE = Duration.ofSeconds(2);

  /**
   * How it is.
   *
   * @param problems why it is not ready; none where it is
   */
  record Report(List<String> problems) {
    boolean ready() {
      return problems.isEmpty();
    }
  }

  private final RunStore store;
  private final WorkerPool pool;
  private final BooleanSupplier draining;
  private final Clock clock;
  private Report last = new Report(List.of("it starts"));
  private Instant lookedAt = Instant.MIN;

  Readiness(RunStore store, WorkerPool pool, BooleanSupplier draining, Clock clock) {
    this.store = store;
    this.pool = pool;
    this.draining = draining;
    this.clock = clock;
  }

  /** Blocks for a few seconds where a worker or the database does not answer. */
  synchronized Report report() {
    if (draining.getAsBoolean()) {
      return told(new Report(List.of("it is told to stop, and takes no more runs")));
    }
    Instant now = clock.instant();
    if (lookedAt.isBefore(now.minus(AGE))) {
      told(look());
      lookedAt = clock.instant();
    }
    return last;
  }

  private Report told(Report now) {
    if (!now.equals(last)) {
      if (now.ready()) {
        LOG.info("Ready");
      } else {
        LOG.warn("Not ready: {}", String.join("; ", now.problems()));
      }
    }
    last = now;
    return now;
  }

  private Report look() {
    List<String> problems = new ArrayList<>();
    try {
      store.probe();
    } catch (RuntimeException e) {
      problems.add("the database: " + e.getMessage());
    }
    List<Health> workers = pool.health(PATIENCE);
    if (workers.stream().allMatch(worker -> worker.trouble().isPresent())) {
      problems.add(
          workers.stream()
              .map(worker -> "worker " + worker.name() + ": " + worker.trouble().orElseThrow())
              .collect(Collectors.joining("; ", "no worker answers: ", "")));
    }
    return new Report(List.copyOf(problems));
  }
}
