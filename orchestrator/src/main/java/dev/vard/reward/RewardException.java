package dev.vard.reward;

import dev.vard.reward.RewardOutcome.Failure;
import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A reward that cannot be opened, or a query that got no usable score. */
public final class RewardException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String code;
  private final boolean retryable;
  private final Optional<Duration> retryAfter;

  /**
   * @param reward its name
   * @param code for programs, as {@code UNAVAILABLE}
   * @param problem for people: what is wrong, and what to do
   * @param retryable whether time may mend it
   */
  public RewardException(
      String reward, String code, String problem, boolean retryable, @Nullable Throwable cause) {
    this(reward, code, problem, retryable, Optional.empty(), cause);
  }

  private RewardException(
      String reward,
      String code,
      String problem,
      boolean retryable,
      Optional<Duration> retryAfter,
      @Nullable Throwable cause) {
    super("reward %s: %s (%s)".formatted(reward, problem, code), cause);
    this.code = code;
    this.retryable = retryable;
    this.retryAfter = retryAfter;
  }

  static RewardException of(String reward, RewardQuery query, Failure failure) {
    return of(
        reward,
        "%s; prompt '%s', seed %d".formatted(failure.message(), query.prompt(), query.seed()),
        failure);
  }

  static RewardException of(String reward, String problem, Failure failure) {
    String wish =
        failure
            .retryAfter()
            .map(pause -> "; it asks for a pause of %d s".formatted(pause.toSeconds()))
            .orElse("");
    return new RewardException(
        reward, failure.code(), problem + wish, failure.retryable(), failure.retryAfter(), null);
  }

  /** {@code NOT_FINITE}, {@code WRONG_COUNT}, {@code THREW}, or the reward's own. */
  public String code() {
    return code;
  }

  public boolean retryable() {
    return retryable;
  }

  /** How long the reward wants to be left alone. */
  public Optional<Duration> retryAfter() {
    return retryAfter;
  }
}
