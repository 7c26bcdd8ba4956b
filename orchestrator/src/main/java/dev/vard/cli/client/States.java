package dev.vard.cli.client;

import dev.vard.cli.ExitCode;
import dev.vard.proto.v1.Run;
import java.util.Locale;

/** What a run's state means to a command. */
final class States {
  private States() {}

  /** For people. */
  static String name(Run.State state) {
    return state.name().toLowerCase(Locale.ROOT);
  }

  /** Whether nothing more happens to a run unless somebody asks. */
  static boolean ended(Run.State state) {
    return switch (state) {
      case DONE, FAILED, CANCELLED -> true;
      case WAITING, RUNNING, PAUSED, STATE_UNSPECIFIED, UNRECOGNIZED -> false;
    };
  }

  /** What a command that saw a run end in this state ends with. */
  static int exitCode(Run.State ended) {
    return switch (ended) {
      case DONE -> ExitCode.OK;
      case CANCELLED -> ExitCode.CANCELLED;
      case FAILED -> ExitCode.FAILED;
      case WAITING, RUNNING, PAUSED, STATE_UNSPECIFIED, UNRECOGNIZED ->
          throw new IllegalArgumentException("a run that is " + name(ended) + " has not ended");
    };
  }
}
