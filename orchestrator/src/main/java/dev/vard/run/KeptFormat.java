package dev.vard.run;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The version of what is kept of a run to go on from: its state, the algorithm's within it, and the
 * specification that it was begun with. Each says its own. What says none is of version 1.
 *
 * <p>A reader takes every version up to {@link #CURRENT}. Whoever changes a kept record so that an
 * earlier program would misread it, or not at all, counts up.
 */
public final class KeptFormat {
  /**
   * What is written. Version 1 had no number, and each method's metrics in fields of their own;
   * version 2 had no keys for what looks ahead and for a budget that is enforced: they are read as
   * left out.
   */
  public static final int CURRENT = 3;

  /** What says no version. */
  public static final int UNNAMED = 1;

  /** A comment, so that those who read the specification need not know of it. */
  private static final Pattern HEADER = Pattern.compile("# vard state format (\\d{1,9})\\R");

  private KeptFormat() {}

  /** A specification's YAML, with the version before it. */
  static String named(String yaml) {
    return "# vard state format %d\n%s".formatted(CURRENT, yaml);
  }

  /**
   * A specification as it was kept, which this program may read.
   *
   * @throws RunException {@link RunException#NEWER_STATE}
   */
  public static String readable(String kept) {
    Matcher header = HEADER.matcher(kept);
    require(
        "the run's specification",
        header.lookingAt() ? Integer.parseInt(header.group(1)) : UNNAMED);
    return kept;
  }

  /**
   * @param what was kept, as "the run's state"
   * @throws RunException {@link RunException#NEWER_STATE}, if a newer program kept it
   */
  public static void require(String what, int version) {
    if (version > CURRENT) {
      throw RunException.newer(
          "%s was written by a newer vard: its state format is %d; this program reads up to %d; go on with the vard that wrote it, or a newer one"
              .formatted(what, version, CURRENT));
    }
  }
}
