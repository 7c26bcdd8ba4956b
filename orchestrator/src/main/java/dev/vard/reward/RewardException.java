package dev.vard.reward;

/** A reward that cannot be opened, or a query that got no usable score. */
public final class RewardException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String code;
  private final boolean retryable;

  /**
   * @param reward its name
   * @param code for programs, as {@code UNAVAILABLE}
   * @param problem for people: what is wrong, and what to do
   * @param retryable whether time may mend it
   */
  public RewardException(
      String reward, String code, String problem, boolean retryable, Throwable cause) {
    super("reward %s: %s (%s)".formatted(reward, problem, code), cause);
    this.code = code;
    this.retryable = retryable;
  }

  static RewardException of(String reward, RewardQuery query, RewardOutcome.Failure failure) {
    return new RewardException(
        reward,
        failure.code(),
        "%s; prompt '%s', seed %d".formatted(failure.message(), query.prompt(), query.seed()),
        failure.retryable(),
        null);
  }

  /** {@code NOT_FINITE}, {@code WRONG_COUNT}, {@code THREW}, or the reward's own. */
  public String code() {
    return code;
  }

  public boolean retryable() {
    return retryable;
  }
}
