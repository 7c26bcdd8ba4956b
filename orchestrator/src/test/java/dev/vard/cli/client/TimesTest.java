package dev.vard.cli.client;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.Timestamp;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneId;
import org.junit.jupiter.api.Test;

class TimesTest {
  private final Times times =
      new Times(Clock.fixed(Instant.parse("2026-03-01T23:30:00Z"), ZoneId.of("Europe/Berlin")));

  private static Timestamp at(String time) {
    return Timestamp.newBuilder().setSeconds(Instant.parse(time).getEpochSecond()).build();
  }

  @Test
  void shouldLeaveOutTodaysDay() {
    assertThat(times.show(at("2026-03-01T23:05:06Z"))).isEqualTo("00:05:06");
  }

  @Test
  void shouldNameAnotherDay() {
    assertThat(times.show(at("2026-03-01T22:05:06Z"))).isEqualTo("2026-03-01 23:05:06");
  }
}
