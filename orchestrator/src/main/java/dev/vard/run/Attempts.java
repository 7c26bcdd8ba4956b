package dev.vard.run;

import java.util.regex.Pattern;

/**
 * Attempts in a row that bring a run no further, each with another worker: whether one more may do
 * better, or only time, or only somebody who looks.
 */
final class Attempts {
  /** So many may come no further. */
  private static final int MOST = 4;

  /** Python's names of objects differ from process to process. */
  private static final Pattern ADDRESS = Pattern.compile("0x[0-9a-fA-F]+");

  private int fruitless;
  private boolean timeMayMend;
  private String defect = "";

  /** The last one came further. */
  void reset() {
    fruitless = 0;
    timeMayMend = false;
    defect = "";
  }

  /**
   * What is to be done after an attempt that failed.
   *
   * @param problem whose remedy is another worker
   */
  RunException.Remedy after(RunException problem) {
    fruitless++;
    timeMayMend |= problem.otherwise() == RunException.Remedy.WAIT;
    if (problem.otherwise() == RunException.Remedy.NONE) {
      String text = ADDRESS.matcher(problem.getMessage()).replaceAll("0x");
      if (text.equals(defect)) {
        return RunException.Remedy.NONE;
      }
      defect = text;
    }
    if (fruitless < MOST) {
      return RunException.Remedy.RESTART_WORKER;
    }
    return timeMayMend ? RunException.Remedy.WAIT : problem.otherwise();
  }

  /**
   * The reason of a run that another worker did not help.
   *
   * @param log where the worker's own words are
   */
  String reason(RunException problem, String log) {
    boolean defect = problem.otherwise() == RunException.Remedy.NONE;
    return "%s: %d attempts came no further%s %s"
        .formatted(
            problem.getMessage(),
            fruitless,
            defect ? ", so this is a defect that none will mend; report it with" : "; look into",
            log);
  }
}
