package dev.vard.run;

/**
 * Where the time went, in seconds on the clock.
 *
 * @param sample denoising and decoding, with what of the scoring went on beside it
 * @param score waiting for scores
 * @param scoreBusy time spent in calls of the reward, summed over those at the same time
 * @param value assessing and fitting the value network
 * @param policy improving the policy
 * @param total everything, also what no phase names
 */
public record PhaseSeconds(
    double sample, double score, double scoreBusy, double value, double policy, double total) {
  static final PhaseSeconds NONE = new PhaseSeconds(0, 0, 0, 0, 0, 0);

  /**
   * Seconds that have passed.
   *
   * @param start by {@link System#nanoTime}
   */
  static double since(long start) {
    return (System.nanoTime() - start) / 1e9;
  }

  static PhaseSeconds of(RunEvent.SampleSeconds seconds) {
    return new PhaseSeconds(seconds.sample(), seconds.score(), seconds.scoreBusy(), 0, 0, 0);
  }

  static PhaseSeconds ofSampling(double seconds) {
    return new PhaseSeconds(seconds, 0, 0, 0, 0, 0);
  }

  static PhaseSeconds ofScoring(double waiting, double busy) {
    return new PhaseSeconds(0, waiting, busy, 0, 0, 0);
  }

  static PhaseSeconds ofValue(double seconds) {
    return new PhaseSeconds(0, 0, 0, seconds, 0, 0);
  }

  static PhaseSeconds ofPolicy(double seconds) {
    return new PhaseSeconds(0, 0, 0, 0, seconds, 0);
  }

  PhaseSeconds withTotal(double seconds) {
    return new PhaseSeconds(sample, score, scoreBusy, value, policy, seconds);
  }

  PhaseSeconds plus(PhaseSeconds more) {
    return new PhaseSeconds(
        sample + more.sample,
        score + more.score,
        scoreBusy + more.scoreBusy,
        value + more.value,
        policy + more.policy,
        total + more.total);
  }
}
