package dev.vard.worker;

import java.time.Duration;

/**
 * How a worker that is stopped, or out of reach, is told from one that is busy: by pings, which
 * gRPC's own threads answer however long Python computes.
 *
 * @param every how often to ask, while a call runs and while none does; gRPC makes less than 10 s
 *     of it 10 s
 * @param patience how long an answer may take before the connection counts as lost, and its calls
 *     fail with UNAVAILABLE
 */
record KeepAlive(Duration every, Duration patience) {
  /** A run notices within 20 s. */
  static final KeepAlive DEFAULT = new KeepAlive(Duration.ofSeconds(10), Duration.ofSeconds(10));
}
