package dev.vard.reward;

/** A reward query that got no usable score. */
public final class RewardException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String code;
  private final boolean retryable;

  RewardException(
      String reward,
      RewardQuery query,
      String code,
      String problem,
      boolean retryable,
      Throwable cause) {
    super(
        "reward %s: %s (%s; prompt '%s', seed %d)"
            .formatted(reward, problem, code, query.prompt(), query.seed()),
        cause);
    this.code = code;
    this.retryable = retryable;
  }

  /** {@code NOT_FINITE}, {@code WRONG_COUNT}, {@code THREW}, or the reward's own. */
  public String code() {
    return code;
  }

  public boolean retryable() {
    return retryable;
  }
}
