package dev.vard.cli.client;

import dev.vard.proto.v1.Run;
import java.util.Locale;

/** Parts of a run as people read them; empty where there is nothing to tell. */
final class RunText {
  private RunText() {}

  static String iteration(Run run) {
    return run.getIteration() + "/" + run.getIterations();
  }

  /** As {@code -1.355 -> -1.02}. */
  static String reward(Run run) {
    if (!run.hasRewardBefore()) {
      return "";
    }
    return number(run.getRewardBefore())
        + (run.hasRewardNow() ? " -> " + number(run.getRewardNow()) : "");
  }

  static String kl(Run run) {
    return run.hasKlPerTrajectory()
        ? String.format(Locale.ROOT, "%.1f nats", run.getKlPerTrajectory())
        : "";
  }

  /** How many are before it. */
  static String queue(Run run) {
    return run.getState() == Run.State.WAITING
        ? run.getQueuePosition() == 0 ? "next" : run.getQueuePosition() + " before"
        : "";
  }

  static String reason(Run run) {
    return run.getReasonCode().isEmpty() || run.getReason().isEmpty()
        ? run.getReasonCode() + run.getReason()
        : run.getReasonCode() + ": " + run.getReason();
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.4g", value);
  }
}
