package dev.vard.spec;

import java.time.Duration;
import java.util.Optional;

/** How a reward is asked. */
public record AskingSpec(
    @SpecKey(
            text = "Most images in one call.",
            in = Forms.BATCH,
            without = AskingSpec.REMOTE_BATCH + " of grpc, http and python, else the reward's own")
        Optional<Integer> batch,
    @SpecKey(
            text = "Most calls at the same time.",
            in = "[1, 1024]",
            without =
                AskingSpec.REMOTE_CONCURRENCY + " of grpc, http and python, else the reward's own")
        Optional<Integer> concurrency,
    @SpecKey(
            text = "Seconds until a call of grpc, http or python counts as failed.",
            in = "(0, 86400]",
            byDefault = "" + AskingSpec.DEFAULT_SECONDS)
        Duration timeout,
    @SpecKey(
            text = "How often a query is asked again whose failure may pass.",
            in = "[0, 1000]",
            without = AskingSpec.REMOTE_RETRIES + " of grpc, http and python, else 0")
        int retries,
    @SpecKey(
            text = "What scores must lie in, both ends included.",
            form = "a list of the least and the most",
            count = 2,
            without = "what the reward says of itself")
        Optional<Range> range) {

  static final int REMOTE_BATCH = 4;
  static final int REMOTE_CONCURRENCY = 4;
  static final int REMOTE_RETRIES = 10;
  static final int DEFAULT_SECONDS = 60;
  static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(DEFAULT_SECONDS);

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
