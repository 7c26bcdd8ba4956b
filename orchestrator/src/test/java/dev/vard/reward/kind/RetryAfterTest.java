package dev.vard.reward.kind;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.reward.RewardOutcome.Failure;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RetryAfterTest {
  private static final Clock CLOCK =
      Clock.fixed(Instant.parse("2026-01-02T03:04:05Z"), ZoneOffset.UTC);

  @Test
  void shouldTakeSeconds() {
    assertThat(RetryAfter.parse("120", CLOCK)).contains(Duration.ofMinutes(2));
  }

  @Test
  void shouldTakeADate() {
    assertThat(RetryAfter.parse("Fri, 02 Jan 2026 03:04:35 GMT", CLOCK))
        .contains(Duration.ofSeconds(30));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "999999999",
        "99999999999",
        "99999999999999999999999999",
        "Fri, 31 Dec 9999 23:59:59 GMT"
      })
  void shouldTakeWhatIsFarAwayForLong(String value) {
    assertThat(RetryAfter.parse(value, CLOCK).orElseThrow())
        .isGreaterThanOrEqualTo(Failure.LONGEST_RETRY_AFTER);
  }

  @Test
  void shouldNotTakeLeadingNoughtsForALargeNumber() {
    assertThat(RetryAfter.parse("0000000000000007", CLOCK)).contains(Duration.ofSeconds(7));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "0", "-1", "soon", "1.5", "NaN", "1e9", "٣", "Fri, 02 Jan 2026 03:04:05 GMT"})
  void shouldNotWaitForWhatIsPastOrMakesNoSense(String value) {
    assertThat(RetryAfter.parse(value, CLOCK)).isEmpty();
  }
}
