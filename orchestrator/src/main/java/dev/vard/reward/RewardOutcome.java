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
   * @param retryAfter how long the reward wants to be left alone
   */
  record Failure(String code, String message, boolean retryable, Optional<Duration> retryAfter)
      implements RewardOutcome {

    /** One that does not say when to ask again. */
    public Failure(String code, String message, boolean retryable) {
      this(code, message, retryable, Optional.empty());
    }
  }
}
