package dev.vard.spec;

import java.time.Duration;
import java.util.Optional;

/**
 * How a reward is asked.
 *
 * @param batch most images in one call; empty takes as many as the reward takes
 * @param concurrency most calls under way at once; empty leaves it to the reward
 * @param timeout of one call
 * @param retries of a query that failed in a way that may pass
 * @param range what scores must lie in; empty takes what the reward says of itself, if anything
 */
public record AskingSpec(
    Optional<Integer> batch,
    Optional<Integer> concurrency,
    Duration timeout,
    int retries,
    Optional<Range> range) {

  static final int REMOTE_BATCH = 4;
  static final int REMOTE_CONCURRENCY = 4;
  static final int REMOTE_RETRIES = 10;
  static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(60);

  /** Both ends included. */
  public record Range(double least, double most) {
    public Range {
      if (!(least < most)) {
        throw new IllegalArgumentException(least + " is not below " + most);
      }
    }

    public boolean contains(double score) {
      return score >= least && score <= most;
    }
  }

  /** As a kind of reward is asked where a specification does not say. */
  public static AskingSpec of(RewardSource source) {
    return source.remote()
        ? new AskingSpec(
            Optional.of(REMOTE_BATCH),
            Optional.of(REMOTE_CONCURRENCY),
            DEFAULT_TIMEOUT,
            REMOTE_RETRIES,
            Optional.empty())
        : new AskingSpec(Optional.empty(), Optional.empty(), DEFAULT_TIMEOUT, 0, Optional.empty());
  }
}
