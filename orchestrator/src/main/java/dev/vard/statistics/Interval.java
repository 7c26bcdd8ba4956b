package dev.vard.statistics;

import java.util.List;
import org.apache.commons.statistics.distribution.TDistribution;

/**
 * A mean and its 95 % confidence interval by Student's t.
 *
 * @param mean the arithmetic mean
 * @param low the interval's lower end; the mean itself where there is only one value
 * @param high the interval's upper end
 */
public record Interval(double mean, double low, double high) {
  private static final double CONFIDENCE = 0.95;

  /** The interval of at least one value. */
  public static Interval of(List<Double> values) {
    if (values.isEmpty()) {
      throw new IllegalArgumentException("an interval needs at least one value");
    }
    int n = values.size();
    double mean = values.stream().mapToDouble(Double::doubleValue).sum() / n;
    if (n == 1) {
      return new Interval(mean, mean, mean);
    }
    double squares = values.stream().mapToDouble(value -> (value - mean) * (value - mean)).sum();
    double standardError = Math.sqrt(squares / (n - 1) / n);
    double half =
        TDistribution.of(n - 1).inverseCumulativeProbability((1 + CONFIDENCE) / 2) * standardError;
    return new Interval(mean, mean - half, mean + half);
  }
}
