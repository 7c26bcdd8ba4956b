package dev.vard.cli;

import dev.vard.reward.RewardMetrics.Percentiles;
import dev.vard.run.Calibration;
import dev.vard.run.Calibration.Failed;
import dev.vard.run.Calibration.Part;
import dev.vard.run.Calibration.Scored;
import dev.vard.run.Calibration.Summary;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** Scores of given images, for a terminal. */
record CalibrationTable(Calibration calibration) {
  private static final int BARS = 12;
  private static final int LONGEST_BAR = 40;

  /** Lines that each end in a line feed. */
  String text() {
    StringBuilder text = new StringBuilder();
    scores(text);
    histogram(text);
    summaries(text);
    constant(text);
    failures(text);
    calls(text);
    return text.toString();
  }

  private boolean several() {
    return calibration.scores().isPresent();
  }

  private void scores(StringBuilder text) {
    List<List<String>> rows = new ArrayList<>();
    List<String> header = new ArrayList<>(List.of("score"));
    if (several()) {
      calibration.parts().forEach(part -> header.add(part.name()));
    }
    header.addAll(List.of("file", "prompt"));
    rows.add(header);
    for (Scored image : calibration.images()) {
      List<String> row = new ArrayList<>(List.of(number(image.score())));
      if (several()) {
        image.parts().forEach(score -> row.add(number(score)));
      }
      row.addAll(List.of(image.file(), image.prompt()));
      rows.add(row);
    }
    table(text, rows, 2);
  }

  private void histogram(StringBuilder text) {
    double[] scores =
        calibration.images().stream()
            .flatMap(image -> image.score().stream())
            .mapToDouble(score -> score)
            .toArray();
    if (scores.length == 0) {
      return;
    }
    // The best is first.
    double most = scores[0];
    double least = scores[scores.length - 1];
    int bars = least < most ? BARS : 1;
    int[] counts = new int[bars];
    int largest = 0;
    for (double score : scores) {
      int bar = bars == 1 ? 0 : Math.min(bars - 1, (int) ((score - least) / (most - least) * bars));
      largest = Math.max(largest, ++counts[bar]);
    }
    text.append('\n');
    for (int i = bars - 1; i >= 0; i--) {
      double from = least + i * (most - least) / bars;
      int length = (int) Math.ceil((double) counts[i] * LONGEST_BAR / largest);
      text.append(
          format(
              "  from %10s  %-" + LONGEST_BAR + "s %d%n",
              number(from),
              "#".repeat(length),
              counts[i]));
    }
  }

  private void summaries(StringBuilder text) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(List.of("mean", "deviation", "least", "most", "scored", several() ? "of" : ""));
    calibration.scores().ifPresent(summary -> rows.add(row(summary, "the sum")));
    for (Part part : calibration.parts()) {
      String name =
          several()
              ? "%s, weight %s".formatted(part.name(), Readable.given(part.weight()))
              : part.name();
      rows.add(row(part.scores(), name));
    }
    text.append('\n');
    table(text, rows, 1);
    if (several()) {
      text.append("  Parts that a run normalises are normalised by these images here.\n");
    }
  }

  private void constant(StringBuilder text) {
    if (calibration.constant()) {
      text.append(
          "\n  warning: these images differ, but all scores are equal: a run learns nothing from"
              + " equal scores, and ends with REWARD_CONSTANT; check the reward\n");
    }
  }

  private static List<String> row(Summary summary, String name) {
    return List.of(
        number(summary.mean()),
        number(summary.deviation()),
        number(summary.least()),
        number(summary.most()),
        String.valueOf(summary.count()),
        name);
  }

  private void failures(StringBuilder text) {
    for (Part part : calibration.parts()) {
      for (Failed failed : part.failures()) {
        text.append(
            format(
                "%n  %s failed for %d of %d: %s%n    %s: %s%n",
                part.name(),
                failed.count(),
                calibration.images().size(),
                failed.code(),
                failed.file(),
                failed.message()));
      }
    }
  }

  private void calls(StringBuilder text) {
    text.append('\n');
    for (Part part : calibration.parts()) {
      Percentiles latency = part.latency();
      text.append(
          format(
              "  %s: %d calls, %d retries; seconds of a call: %.3g half of them, %.3g 90 %%, %.3g"
                  + " 99 %%, %.3g the longest%n",
              part.name(),
              part.calls(),
              part.retried(),
              latency.p50(),
              latency.p90(),
              latency.p99(),
              latency.most()));
    }
    text.append(
        format(
            "  %d images in %s%n",
            calibration.images().size(), Readable.duration(calibration.seconds())));
  }

  /**
   * @param texts how many columns, at the end, are to the left
   */
  private static void table(StringBuilder text, List<List<String>> rows, int texts) {
    int columns = rows.getFirst().size();
    for (List<String> row : rows) {
      StringBuilder line = new StringBuilder(" ");
      for (int i = 0; i < columns; i++) {
        int column = i;
        int width = rows.stream().mapToInt(each -> each.get(column).length()).max().orElse(1);
        boolean left = i >= columns - texts;
        line.append(' ')
            .append(width == 0 ? "" : format("%" + (left ? "-" : "") + width + "s", row.get(i)))
            .append(' ');
      }
      text.append(line.toString().stripTrailing()).append('\n');
    }
  }

  private static String number(Optional<Double> score) {
    return score.map(CalibrationTable::number).orElse("failed");
  }

  private static String number(double score) {
    return Double.isNaN(score) ? "-" : format("%.5g", score);
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
