package dev.vard.api;

import dev.vard.serve.ServeSettings;
import java.util.Locale;
import java.util.Map;

/** Whether a server's limits let anything through. */
final class Limits {
  private Limits() {}

  /**
   * A limit of 0 would refuse every run, stream or connection, each time as if its user had asked
   * for too much.
   *
   * @throws SettingsException for a limit below 1
   */
  static void check(ServeSettings settings) {
    Map.of(
            "max-specification-bytes", (long) settings.maxSpecificationBytes(),
            "max-prompts", (long) settings.maxPrompts(),
            "max-queries", settings.maxQueries(),
            "max-passes", settings.maxPasses(),
            "max-active-runs", (long) settings.maxActiveRuns(),
            "max-streams", (long) settings.maxStreams(),
            "max-streams-per-owner", (long) settings.maxStreamsPerOwner(),
            "max-connections", (long) settings.maxConnections(),
            "max-buffered-bytes", settings.maxBufferedBytes())
        .forEach(Limits::atLeastOne);
    atLeastOne("slow-reader-seconds", settings.slowReaderSeconds());
    atLeastOne("slow-request-seconds", settings.slowRequestSeconds());
  }

  private static void atLeastOne(String setting, long limit) {
    if (limit < 1) {
      throw new SettingsException(
          "%s is %d, which lets nothing through: set VARD_SERVE_%s to 1 or more, or leave it out for the default"
              .formatted(setting, limit, setting.replace('-', '_').toUpperCase(Locale.ROOT)));
    }
  }
}
