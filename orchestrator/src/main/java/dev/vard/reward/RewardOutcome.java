package dev.vard.reward;

import java.time.Duration;
import java.util.Optional;

/** A reward's answer to one query. A failure is a failure, never a zero. */
public sealed interface RewardOutcome {

  /** How good the image is; NaN and infinities are refused. */
  record Score(double value) implements RewardOutcome {}

  /**
   * No score.
   *
   * @param code for programs, as {@code TIMEOUT}
   * @param message for people: what was wrong, and what to do
   * @param retryable whether the same query may succeed later
   * @param retryAfter how long the reward wants to be left alone; above 0, and at most {@link
   *     #LONGEST_RETRY_AFTER}, whatever a peer wished
   */
  record Failure(String code, String message, boolean retryable, Optional<Duration> retryAfter)
      implements RewardOutcome {

    /** After a day without a try a run would look as if it were forgotten. */
    public static final Duration LONGEST_RETRY_AFTER = Duration.ofDays(1);

    public Failure {
      retryAfter =
          retryAfter
              .filter(Duration::isPositive)
              .map(wish -> wish.compareTo(LONGEST_RETRY_AFTER) < 0 ? wish : LONGEST_RETRY_AFTER);
    }

    /** One that does not say when to ask again. */
    public Failure(String code, String message, boolean retryable) {
      this(code, message, retryable, Optional.empty());
    }
  }
}
