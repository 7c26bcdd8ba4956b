package dev.vard.worker;

import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What starting a worker on this machine needs.
 *
 * @param home the project's folder, with {@code python-worker} in it
 * @param python the interpreter that has the worker's packages
 */
public record WorkerEnvironment(Path home, Path python) {

  /**
   * Finds it: home is {@code VARD_HOME}, else the first folder with a {@code python-worker} in it
   * above the working directory or above this program's own files; python is {@code VARD_PYTHON},
   * else the one that {@code ./vard setup} makes.
   *
   * @throws WorkerException UNAVAILABLE, if one of them is not there
   */
  public static WorkerEnvironment find() {
    return find(System.getenv(), Path.of(""));
  }

  static WorkerEnvironment find(Map<String, String> variables, Path workingDirectory) {
    Path home =
        Optional.ofNullable(variables.get("VARD_HOME"))
            .map(Path::of)
            .or(
                () ->
                    Stream.concat(
                            ancestors(workingDirectory.toAbsolutePath()),
                            ownFiles().stream().flatMap(WorkerEnvironment::ancestors))
                        .filter(WorkerEnvironment::isHome)
                        .findFirst())
            .orElseThrow(
                () ->
                    WorkerException.unavailable(
                        "the worker's sources were not found: set VARD_HOME to the folder that"
                            + " holds python-worker",
                        null));
    if (!isHome(home)) {
      throw WorkerException.unavailable(
          "VARD_HOME is "
              + home
              + ", where there is no python-worker/src/vard_worker: set it to vard's folder",
          null);
    }
    Path python =
        Optional.ofNullable(variables.get("VARD_PYTHON"))
            .map(Path::of)
            .orElse(home.resolve("python-worker/.venv/bin/python"));
    if (!Files.isExecutable(python)) {
      throw WorkerException.unavailable(
          "there is no Python at "
              + python
              + ": run "
              + home.resolve("vard")
              + " setup, or set VARD_PYTHON to an interpreter with the worker's packages",
          null);
    }
    return new WorkerEnvironment(home.toAbsolutePath(), python.toAbsolutePath());
  }

  /**
   * A Python process that finds the worker's sources, with a worker's environment variables.
   *
   * @param arguments of the interpreter
   */
  public ProcessBuilder process(String... arguments) {
    return process(PythonProcess.Role.WORKER, List.of(arguments));
  }

  /** One with the environment variables of its role: {@link ChildEnvironment}. */
  ProcessBuilder process(PythonProcess.Role role, List<String> arguments) {
    ProcessBuilder builder =
        new ProcessBuilder(
            Stream.concat(Stream.of(python.toString()), arguments.stream()).toList());
    Map<String, String> environment = builder.environment();
    environment.clear();
    environment.putAll(ChildEnvironment.of(role, System.getenv(), sources()));
    return builder;
  }

  /** The folder to put on Python's path. */
  Path sources() {
    return home.resolve("python-worker/src");
  }

  private static boolean isHome(Path folder) {
    return Files.isDirectory(folder.resolve("python-worker/src/vard_worker"));
  }

  private static Stream<Path> ancestors(Path path) {
    return Stream.iterate(path, p -> p != null, Path::getParent);
  }

  private static Optional<Path> ownFiles() {
    try {
      return Optional.of(
          Path.of(
              WorkerEnvironment.class.getProtectionDomain().getCodeSource().getLocation().toURI()));
    } catch (URISyntaxException e) {
      return Optional.empty();
    }
  }
}
