package dev.vard.cli;

import dev.vard.run.PhaseSeconds;
import dev.vard.run.RunResult;
import dev.vard.statistics.Interval;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * What a run came to, for a terminal.
 *
 * @param klBudget nats per trajectory; empty where the KL weight is fixed
 * @param report the run's page; empty where none was written
 */
record ClosingTable(RunResult result, OptionalDouble klBudget, Optional<Path> report) {

  /** Lines that each end in a line feed. */
  String text() {
    Interval before = result.rewardBefore();
    Interval after = result.rewardAfter();
    StringBuilder table = new StringBuilder();
    row(table, "reward before", interval(before));
    row(table, "reward after", interval(after));
    row(table, "change", change(before, after));
    row(
        table,
        "reward queries",
        "%d for training, %d for evaluation"
            .formatted(result.rewardQueries(), result.evaluationQueries()));
    row(table, "KL per trajectory", kl());
    row(table, "time", time());
    row(table, "export", result.export());
    report.ifPresent(page -> row(table, "report", page.toString()));
    return table.toString();
  }

  private static void row(StringBuilder table, String name, String value) {
    table.append("  %-18s %s%n".formatted(name, value));
  }

  private static String interval(Interval interval) {
    // A normalised reward's mean is 0 but for rounding.
    double mean = Math.abs(interval.mean()) < 1e-12 ? 0 : interval.mean();
    return format("%.4g   (95 %%: %.4g to %.4g)", mean, interval.low(), interval.high());
  }

  /**
   * Relative to the size of the reward before, which may be negative: from -1.355 to -1.020 is 24.7
   * % better. Of a reward that may as well have been 0, as a normalised sum's is, the difference.
   */
  private static String change(Interval before, Interval after) {
    double difference = after.mean() - before.mean();
    if (before.low() <= 0 && before.high() >= 0) {
      return format("%+.4g", difference);
    }
    double percent = 100 * difference / Math.abs(before.mean());
    if (Math.abs(percent) < 0.05) {
      return "0.0 %";
    }
    return format("%+.1f %% ", percent) + (percent > 0 ? "better" : "worse");
  }

  private String kl() {
    double kl = result.klPerTrajectory();
    return klBudget.isEmpty()
        ? format("%.1f nats", kl)
        : format("%.1f of %s nats", kl, Readable.given(klBudget.getAsDouble()))
            + (kl > klBudget.getAsDouble() ? ", above the budget" : "");
  }

  private String time() {
    PhaseSeconds seconds = result.seconds();
    List<String> parts = new ArrayList<>();
    part(parts, "sampling", seconds.sample());
    part(parts, "scoring", seconds.score());
    part(parts, "value", seconds.value());
    part(parts, "policy", seconds.policy());
    part(
        parts,
        "other",
        seconds.total() - seconds.sample() - seconds.score() - seconds.value() - seconds.policy());
    return Readable.duration(seconds.total()) + ": " + String.join(", ", parts);
  }

  /** What would be shown as zero is left out. */
  private void part(List<String> parts, String name, double seconds) {
    if (seconds >= 0.05) {
      parts.add(
          name
              + " "
              + Readable.duration(seconds)
              + format(" (%.0f %%)", 100 * seconds / result.seconds().total()));
    }
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
