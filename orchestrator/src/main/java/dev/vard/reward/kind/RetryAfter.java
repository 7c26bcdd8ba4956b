package dev.vard.reward.kind;

import dev.vard.reward.RewardOutcome.Failure;
import java.time.Clock;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeFormatter;
import java.util.Optional;

/** HTTP's {@code Retry-After}: seconds, or a date (RFC 9110, section 10.2.3). */
final class RetryAfter {
  private RetryAfter() {}

  /** More digits are more seconds than a run ever waits. */
  private static final int DIGITS = 9;

  /**
   * @return how long to wait; nothing where the value makes no sense, or it is time already
   */
  static Optional<Duration> parse(String value, Clock clock) {
    try {
      Duration wait =
          value.matches("[0-9]+")
              ? Duration.ofSeconds(seconds(value.replaceFirst("^0+(?=.)", "")))
              : Duration.between(
                  clock.instant(),
                  DateTimeFormatter.RFC_1123_DATE_TIME.parse(value, Instant::from));
      return wait.isPositive() ? Optional.of(wait) : Optional.empty();
    } catch (DateTimeException e) {
      return Optional.empty();
    }
  }

  private static long seconds(String digits) {
    return digits.length() <= DIGITS
        ? Long.parseLong(digits)
        : Failure.LONGEST_RETRY_AFTER.toSeconds();
  }
}
