package dev.vard.run;

/** Sums the seconds of phases. */
final class Timings {
  private final long start = System.nanoTime();
  private double sample;
  private double score;
  private double scoreBusy;
  private double value;
  private double policy;

  static double since(long nanos) {
    return (System.nanoTime() - nanos) / 1e9;
  }

  void sampled(RunEvent.SampleSeconds seconds) {
    sample += seconds.sample();
    score += seconds.score();
    scoreBusy += seconds.scoreBusy();
  }

  void value(double seconds) {
    value += seconds;
  }

  void policy(double seconds) {
    policy += seconds;
  }

  /** So far; the total counts from this object's making. */
  PhaseSeconds seconds() {
    return new PhaseSeconds(sample, score, scoreBusy, value, policy, since(start));
  }
}
