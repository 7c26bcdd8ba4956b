package dev.vard.reward.kind;

import dev.vard.worker.WorkerEnvironment;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * What rewards find around them.
 *
 * @param plugins folder with jars that bring rewards; need not be there
 * @param python asked only where a reward is in Python
 * @param log takes what processes of rewards write; appended to
 * @param variables environment variables, for tokens
 */
public record RewardEnvironment(
    Path plugins,
    Supplier<WorkerEnvironment> python,
    Path log,
    Function<String, Optional<String>> variables) {

  /** Plug-ins are in {@code VARD_PLUGINS}, else in {@code plugins} of the working directory. */
  public static RewardEnvironment of(Path log) {
    Map<String, String> variables = System.getenv();
    return new RewardEnvironment(
        Path.of(variables.getOrDefault("VARD_PLUGINS", "plugins")),
        WorkerEnvironment::find,
        log,
        name -> Optional.ofNullable(variables.get(name)));
  }
}
