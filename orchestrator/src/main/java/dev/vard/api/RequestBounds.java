package dev.vard.api;

import dev.vard.serve.ServeSettings;
import java.time.Duration;

/**
 * How requests may arrive, of both APIs.
 *
 * @param patience until headers are there, and from there until the body is
 * @param buffered what has arrived of them
 */
record RequestBounds(Duration patience, BufferedBytes buffered) {

  static RequestBounds of(ServeSettings settings) {
    return new RequestBounds(
        Duration.ofSeconds(settings.slowRequestSeconds()),
        new BufferedBytes(settings.maxBufferedBytes()));
  }

  String tooSlow() {
    return "the request has not arrived whole within "
        + patience.toSeconds()
        + " s: send it again, faster";
  }
}
