package dev.vard.algorithm;

import java.util.List;

/**
 * Count, mean and summed squared deviation of numbers, updated one by one (Welford, 1962).
 *
 * @param squares Σ (x − mean)²
 */
public record Moments(long count, double mean, double squares) {
  public static final Moments NONE = new Moments(0, 0, 0);

  public Moments {
    NotFiniteException.finite(mean, "the mean of the scores");
    NotFiniteException.finite(squares, "the variance of the scores");
  }

  /** Of numbers. */
  public static Moments of(List<Double> values) {
    return NONE.with(values);
  }

  /** With more numbers. */
  public Moments with(List<Double> values) {
    long n = count;
    double m = mean;
    double s = squares;
    for (double value : values) {
      n++;
      double before = value - m;
      m += before / n;
      s += before * (value - m);
    }
    return new Moments(n, m, s);
  }

  /** The population's; 1 where all values are equal, so that it can divide. */
  double deviation() {
    double deviation = count == 0 ? 0 : Math.sqrt(squares / count);
    return deviation > 0 ? deviation : 1;
  }

  /** (value − mean) / deviation. */
  public double normalise(double value) {
    return (value - mean) / deviation();
  }
}
