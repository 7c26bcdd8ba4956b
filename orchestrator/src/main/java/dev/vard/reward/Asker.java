package dev.vard.reward;

import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.reward.RewardOutcome.Score;
import dev.vard.spec.AskingSpec.Range;
import io.github.resilience4j.circuitbreaker.CallNotPermittedException;
import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig;
import io.github.resilience4j.core.IntervalFunction;
import io.github.resilience4j.retry.Retry;
import io.github.resilience4j.retry.RetryConfig;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Asks one reward, and asks again where a failure may pass: after a pause that doubles, with
 * jitter, or as long as the reward wants. Of several queries only those are asked again that have
 * no score. While nearly everything fails, the reward is left alone for a while.
 *
 * <p>Used by several threads.
 */
final class Asker {
  private static final Logger LOG = LoggerFactory.getLogger(Asker.class);

  private static final Duration FIRST_PAUSE = Duration.ofMillis(250);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(30);
  private static final double JITTER = 0.5;

  /** A reward that wants to be left alone for longer must not keep a worker from other runs. */
  static final Duration LONGEST_IN_PLACE = Duration.ofMinutes(1);

  /** Whoever watches a run that stands still for longer is told why. */
  private static final Duration TOLD = Duration.ofSeconds(5);

  /** Of so many calls in a row nearly all failed: it is down. */
  private static final int WINDOW = 20;

  private static final int ENOUGH = 10;
  private static final float DOWN_PERCENT = 90;
  private static final Duration LEFT_ALONE = Duration.ofSeconds(5);

  private static final Set<String> SENSELESS = Set.of("WRONG_COUNT", "NOT_FINITE", "OUT_OF_RANGE");

  /** Hears of each call. Several threads call it. */
  interface Meter {
    void called();

    /**
     * @param nanos from its begin to its end
     */
    void answered(long nanos);

    /** Queries whose failure may pass are asked again. */
    void askedAgain(int queries);

    /** Whether it is of use to ask again. */
    boolean goesOn();
  }

  private final Rewards.Part part;
  private final Optional<Range> range;
  private final CircuitBreaker breaker;
  private final IntervalFunction pauses;

  /** By {@link System#nanoTime}, when the pause ends that was told last. */
  private final AtomicLong told = new AtomicLong(System.nanoTime());

  Asker(Rewards.Part part) {
    this(part, FIRST_PAUSE);
  }

  Asker(Rewards.Part part, Duration firstPause) {
    this.part = part;
    this.range = part.asking().range().or(part.reward()::range);
    this.breaker =
        CircuitBreaker.of(
            part.name(),
            CircuitBreakerConfig.custom()
                .slidingWindowSize(WINDOW)
                .minimumNumberOfCalls(ENOUGH)
                .failureRateThreshold(DOWN_PERCENT)
                .waitDurationInOpenState(LEFT_ALONE)
                .permittedNumberOfCallsInHalfOpenState(1)
                .build());
    this.pauses = IntervalFunction.ofExponentialRandomBackoff(firstPause, 2, JITTER, LONGEST_PAUSE);
  }

  /** Most queries in one call. */
  int batch() {
    int most = Math.max(1, part.reward().batch());
    return part.asking().batch().map(asked -> Math.min(asked, most)).orElse(most);
  }

  /** Most calls at the same time. */
  int concurrency() {
    return part.asking().concurrency().orElseGet(part.reward()::concurrency);
  }

  /**
   * Asks until nothing is left that may pass, or it was asked often enough, or the reward wants to
   * be left alone for longer than {@link #LONGEST_IN_PLACE}. Blocks.
   *
   * @return a finite score in the reward's range, or a failure, for each query in their order
   */
  List<RewardOutcome> ask(List<RewardQuery> queries, Meter meter) {
    RewardOutcome[] outcomes = new RewardOutcome[queries.size()];
    RetryConfig retries =
        RetryConfig.<List<RewardOutcome>>custom()
            .maxAttempts(part.asking().retries() + 1)
            .retryOnResult(answers -> meter.goesOn() && worthWaiting(answers))
            .retryOnException(e -> false)
            .intervalBiFunction((attempt, either) -> pause(attempt, either.get()))
            .build();
    List<RewardOutcome> last =
        Retry.of(part.name(), retries)
            .executeSupplier(
                () -> {
                  int[] open =
                      IntStream.range(0, outcomes.length)
                          .filter(i -> outcomes[i] == null || mayPass(outcomes[i]))
                          .toArray();
                  if (outcomes[open[0]] != null) {
                    meter.askedAgain(open.length);
                  }
                  List<RewardOutcome> answers =
                      permitted(Arrays.stream(open).mapToObj(queries::get).toList(), meter);
                  for (int i = 0; i < open.length; i++) {
                    outcomes[open[i]] = answers.get(i);
                  }
                  return List.of(outcomes);
                });
    return last.stream().map(Asker::settled).toList();
  }

  /** What a reward gave again and again that makes no sense is not mended by waiting. */
  private static RewardOutcome settled(RewardOutcome outcome) {
    return outcome instanceof Failure failure && SENSELESS.contains(failure.code())
        ? new Failure(failure.code(), failure.message(), false)
        : outcome;
  }

  private List<RewardOutcome> permitted(List<RewardQuery> queries, Meter meter) {
    try {
      breaker.acquirePermission();
    } catch (CallNotPermittedException e) {
      return all(
          queries,
          new Failure(
              "CIRCUIT_OPEN",
              "it failed so often that it is left alone for a while",
              true,
              Optional.of(LEFT_ALONE)));
    }
    meter.called();
    long start = System.nanoTime();
    List<RewardOutcome> outcomes = checked(queries, once(queries));
    long nanos = System.nanoTime() - start;
    meter.answered(nanos);
    if (outcomes.stream().allMatch(Asker::mayPass)) {
      breaker.onError(nanos, TimeUnit.NANOSECONDS, new IOException("all failed"));
    } else {
      breaker.onSuccess(nanos, TimeUnit.NANOSECONDS);
    }
    return outcomes;
  }

  private List<RewardOutcome> once(List<RewardQuery> queries) {
    try {
      return part.reward().score(queries);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return all(queries, new Failure("INTERRUPTED", "it was told to stop", false));
    } catch (IOException e) {
      return all(queries, new Failure("UNAVAILABLE", "threw " + e, true));
    } catch (TimeoutException e) {
      return all(queries, new Failure("TIMEOUT", "threw " + e, true));
    } catch (Throwable e) { // an Error too is a failure of these queries, not of this thread alone
      return all(queries, new Failure("THREW", "threw " + e, false));
    }
  }

  private List<RewardOutcome> checked(List<RewardQuery> queries, List<RewardOutcome> outcomes) {
    if (outcomes.size() != queries.size()) {
      return all(
          queries,
          new Failure(
              "WRONG_COUNT",
              "answered " + queries.size() + " queries with " + outcomes.size() + " outcomes",
              true));
    }
    List<RewardOutcome> checked = new ArrayList<>();
    for (RewardOutcome outcome : outcomes) {
      checked.add(
          switch (outcome) {
            case Score(double score) when !Double.isFinite(score) ->
                new Failure("NOT_FINITE", "gave " + score + ", not a finite number", true);
            case Score(double score) when range.isPresent() && !range.get().contains(score) ->
                new Failure(
                    "OUT_OF_RANGE",
                    "gave %s, which is not from %s to %s"
                        .formatted(score, range.get().least(), range.get().most()),
                    true);
            case Score good -> good;
            case Failure failure -> failure;
          });
    }
    return checked;
  }

  private static List<RewardOutcome> all(List<RewardQuery> queries, Failure failure) {
    return Collections.nCopies(queries.size(), failure);
  }

  private static boolean mayPass(RewardOutcome outcome) {
    return outcome instanceof Failure failure && failure.retryable();
  }

  private static boolean worthWaiting(List<RewardOutcome> outcomes) {
    return outcomes.stream().anyMatch(Asker::mayPass)
        && wanted(outcomes) <= LONGEST_IN_PLACE.toMillis();
  }

  /**
   * @return how long to wait, in milliseconds
   */
  private long pause(int attempt, List<RewardOutcome> outcomes) {
    long millis = Math.max(pauses.apply(attempt), wanted(outcomes));
    long now = System.nanoTime();
    long before = told.get();
    if (millis >= TOLD.toMillis()
        && now - before >= 0
        && told.compareAndSet(before, now + TimeUnit.MILLISECONDS.toNanos(millis))) {
      LOG.warn(
          "Reward {} is asked again in {} s: {}",
          part.name(),
          millis / 1000,
          failures(outcomes).findFirst().map(Failure::message).orElse("it failed"));
    }
    return millis;
  }

  /** The longest pause that a failure asks for, in milliseconds. */
  private static long wanted(List<RewardOutcome> outcomes) {
    return failures(outcomes)
        .flatMap(failure -> failure.retryAfter().stream())
        .mapToLong(Duration::toMillis)
        .max()
        .orElse(0);
  }

  /** Those that may pass. */
  private static Stream<Failure> failures(List<RewardOutcome> outcomes) {
    return outcomes.stream().filter(Asker::mayPass).map(Failure.class::cast);
  }
}
