package dev.vard.run;

import java.time.Duration;
import java.util.random.RandomGenerator;

/**
 * How long to wait before the next try: doubling from a first wait to a longest one, each spread by
 * a quarter, so that runs that lost the same thing do not come back at the same moment. For one
 * run; thread-safe.
 */
public final class Backoff {
  private static final double SPREAD = 0.25;

  private final Duration first;
  private final Duration longest;
  private final RandomGenerator random;
  private int tries;

  public Backoff(Duration first, Duration longest, RandomGenerator random) {
    this.first = first;
    this.longest = longest;
    this.random = random;
  }

  /** The wait before the next try. */
  public synchronized Duration next() {
    double factor = Math.pow(2, Math.min(tries, 30)) * (1 + SPREAD * (2 * random.nextDouble() - 1));
    tries++;
    double millis = Math.min(first.toMillis() * factor, longest.toMillis());
    return Duration.ofMillis(Math.round(millis));
  }

  /** Waits since the last {@link #reset}. */
  public synchronized int tries() {
    return tries;
  }

  /** It works again. */
  public synchronized void reset() {
    tries = 0;
  }
}
