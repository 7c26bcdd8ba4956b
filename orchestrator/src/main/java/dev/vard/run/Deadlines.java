package dev.vard.run;

import java.time.Duration;
import java.util.concurrent.atomic.DoubleAccumulator;

/**
 * How long each request may take, learnt from how long its kind has taken.
 *
 * <p>A worker that is stopped or out of reach is noticed within seconds, by its connection. These
 * are for one that answers pings and yet does not come to an end. Each kind of request with a size
 * gets {@value #FACTOR} times the slowest pace measured so far, times its size, and never less than
 * {@link #LEAST}: a machine may be busy with something else for a while, and an end that comes too
 * soon costs a restart. Before anything was measured the bounds are generous.
 *
 * <p>One for each run. Thread-safe; has no clock of its own.
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

  static final int FACTOR = 10;

  /** The least of what is learnt. */
  static final Duration LEAST = Duration.ofMinutes(2);

  private final Pace sample = new Pace(SAMPLE);
  private final Pace assess = new Pace(ASSESS);
  private final Pace fit = new Pace(FIT);
  private final Pace improve = new Pace(IMPROVE);

  /**
   * For drawing trajectories and passing on their images: scoring holds the worker back, so its
   * pace counts too.
   */
  Duration sample(int trajectories) {
    return sample.deadline(trajectories);
  }

  /**
   * @param took from the call to its last image, as the caller saw it
   */
  void sampled(int trajectories, Duration took) {
    sample.measured(trajectories, took);
  }

  Duration assess(int trajectories) {
    return assess.deadline(trajectories);
  }

  void assessed(int trajectories, Duration took) {
    assess.measured(trajectories, took);
  }

  Duration fit(int steps, int batch) {
    return fit.deadline((long) steps * batch);
  }

  void fitted(int steps, int batch, Duration took) {
    fit.measured((long) steps * batch, took);
  }

  /**
   * @param passes of pairs of the gradient steps, and of the steps of fresh trajectories
   */
  Duration improve(long passes) {
    return improve.deadline(passes);
  }

  void improved(long passes, Duration took) {
    improve.measured(passes, took);
  }

  /** The slowest pace of one kind of request. */
  private static final class Pace {
    private final Duration unmeasured;
    private final DoubleAccumulator secondsEach = new DoubleAccumulator(Math::max, 0);

    Pace(Duration unmeasured) {
      this.unmeasured = unmeasured;
    }

    void measured(long size, Duration took) {
      secondsEach.accumulate(took.toNanos() / 1e9 / size);
    }

    Duration deadline(long size) {
      double each = secondsEach.get();
      if (each == 0) {
        return unmeasured;
      }
      Duration learnt = Duration.ofMillis((long) (FACTOR * each * size * 1000));
      return learnt.compareTo(LEAST) > 0 ? learnt : LEAST;
    }
  }
}
