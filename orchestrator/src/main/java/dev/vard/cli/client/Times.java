package dev.vard.cli.client;

import com.google.protobuf.Timestamp;
import java.time.Clock;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;

/** Times of this place, as short as they are clear: today's without the day. */
final class Times {
  private static final DateTimeFormatter TODAY = DateTimeFormatter.ofPattern("HH:mm:ss");
  private static final DateTimeFormatter ANY = DateTimeFormatter.ofPattern("uuuu-MM-dd HH:mm:ss");

  private final Clock clock;

  Times(Clock clock) {
    this.clock = clock;
  }

  static Times here() {
    return new Times(Clock.systemDefaultZone());
  }

  String show(Timestamp time) {
    ZonedDateTime local =
        Instant.ofEpochSecond(time.getSeconds(), time.getNanos()).atZone(clock.getZone());
    boolean today = local.toLocalDate().equals(ZonedDateTime.now(clock).toLocalDate());
    return local.format(today ? TODAY : ANY);
  }
}
