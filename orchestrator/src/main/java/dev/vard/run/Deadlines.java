package dev.vard.run;

import java.time.Duration;

/**
 * How long each request may take. Generous: they are there so that a run does not hang for ever,
 * not to judge how fast a worker is.
 */
final class Deadlines {
  /** A large checkpoint may have to be downloaded first. */
  static final Duration OPEN = Duration.ofHours(2);

  static final Duration SAMPLE = Duration.ofHours(4);
  static final Duration ASSESS = Duration.ofHours(1);
  static final Duration FIT = Duration.ofHours(4);
  static final Duration IMPROVE = Duration.ofHours(4);
  static final Duration RELEASE = Duration.ofMinutes(5);

  /** A worker that is at a step of a request that was given up ends it first. */
  static final Duration DESCRIBE = Duration.ofMinutes(10);

  static final Duration SAVE = Duration.ofMinutes(30);
  static final Duration EXPORT = Duration.ofMinutes(15);

  /** For a run that was told to stop: somebody waits. */
  static final Duration LAST_SAVE = Duration.ofMinutes(2);

  static final Duration LAST_EXPORT = Duration.ofSeconds(30);

  static final Duration CLOSE = Duration.ofMinutes(1);

  private Deadlines() {}
}
