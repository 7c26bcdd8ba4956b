package dev.vard.reward;

import java.util.Arrays;
import java.util.List;

/**
 * How the queries of one round were answered.
 *
 * @param dropped samples left out because a query of theirs failed for good
 * @param busy seconds spent in calls, summed over those at the same time
 * @param seconds in which at least one image had no answer yet
 * @param waited of these, the seconds in which nothing was done but wait for answers
 * @param overlap share of the reward's time that was hidden behind the model's work: 0 to 1
 */
public record RewardMetrics(
    List<Part> parts, int dropped, double busy, double seconds, double waited, double overlap) {

  /** Of a round that is not known. */
  public static final RewardMetrics NONE = new RewardMetrics(List.of(), 0, 0, 0, 0, 1);

  public RewardMetrics {
    parts = List.copyOf(parts);
  }

  static RewardMetrics of(
      List<Part> parts, int dropped, double busy, double seconds, double waited) {
    double overlap = seconds > 0 ? Math.clamp(1 - waited / seconds, 0, 1) : 1;
    return new RewardMetrics(parts, dropped, busy, seconds, waited, overlap);
  }

  /**
   * One reward of the sum.
   *
   * @param mean of the scores as they were given; NaN where there are none
   * @param asked queries that were put to it; the others were known from before
   * @param calls in which they were
   * @param retried queries whose failure might pass, each time
   * @param cached queries that were not put, because an identical one was
   * @param failed queries that failed for good
   * @param inFlight most calls at the same time
   * @param latency of its calls
   * @param queued of its queries, from their arrival to their first call
   */
  public record Part(
      String name,
      double mean,
      int asked,
      int calls,
      int retried,
      int cached,
      int failed,
      int inFlight,
      Percentiles latency,
      Percentiles queued) {}

  /** Seconds; zeros where there are none. By the nearest rank. */
  public record Percentiles(double p50, double p90, double p99, double most) {
    static Percentiles of(long[] nanos) {
      long[] sorted = nanos.clone();
      Arrays.sort(sorted);
      return new Percentiles(
          rank(sorted, 0.5), rank(sorted, 0.9), rank(sorted, 0.99), rank(sorted, 1));
    }

    private static double rank(long[] sorted, double share) {
      return sorted.length == 0 ? 0 : sorted[(int) Math.ceil(share * sorted.length) - 1] / 1e9;
    }
  }
}
