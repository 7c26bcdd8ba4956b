package dev.vard.spec;

import dev.vard.files.TextFile;
import dev.vard.spec.SpecProblem.Code;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Reads a specification strictly: what it does not understand is an error, and all errors are told
 * at once.
 *
 * <p>Files that a specification names are looked for in the working directory first, then beside
 * the specification.
 */
public final class SpecReader {
  private final Surroundings around;

  /** Reads relative to this process's working directory and for its number of processors. */
  public SpecReader() {
    this(Path.of(""), Runtime.getRuntime().availableProcessors());
  }

  /**
   * @param processors what {@code threads} is where a specification does not say
   */
  public SpecReader(Path workingDirectory, int processors) {
    this(workingDirectory, processors, Optional.empty(), false);
  }

  private SpecReader(
      Path workingDirectory, int processors, Optional<Confinement> confinement, boolean toSend) {
    this.around = new Surroundings(workingDirectory, processors, confinement, toSend);
  }

  /** Reads what others send, and refuses what goes beyond the confinement. */
  public static SpecReader confined(Confinement confinement) {
    return new SpecReader(
        Path.of(""), Runtime.getRuntime().availableProcessors(), Optional.of(confinement), false);
  }

  /**
   * Reads what is to be sent to a server. Prompts come from this machine's files; {@code
   * model.checkpoint} stays as it was written, for it names what the server has; {@code threads}
   * that are not given are {@link RunSpec#ANY_THREADS}.
   */
  public static SpecReader toSend() {
    return toSend(Path.of(""));
  }

  static SpecReader toSend(Path workingDirectory) {
    return new SpecReader(workingDirectory, RunSpec.ANY_THREADS, Optional.empty(), true);
  }

  /**
   * @param file a YAML file
   * @param overrides as {@code algorithm.iterations=4}; the value is YAML
   * @throws SpecException with all that is wrong
   */
  public RunSpec read(Path file, List<String> overrides) {
    String text;
    try {
      text = Files.readString(around.workingDirectory().resolve(file));
    } catch (CharacterCodingException e) {
      throw unreadable(
          file, Code.BAD_YAML, "the file is not UTF-8 text; give a specification in YAML");
    } catch (IOException e) {
      throw unreadable(
          file,
          Code.MISSING_FILE,
          Files.exists(around.workingDirectory().resolve(file))
              ? "the file cannot be read (" + e.getMessage() + "); give a specification in YAML"
              : "there is no such file; give the path of a specification in YAML");
    }
    Path folder = Optional.ofNullable(file.getParent()).orElse(Path.of(""));
    return read(text, file.toString(), folder, overrides);
  }

  /**
   * @param text YAML
   * @param source what errors call it
   * @param folder where the files that it names are looked for after the working directory
   * @throws SpecException with all that is wrong
   */
  public RunSpec read(String text, String source, Path folder, List<String> overrides) {
    Given given = new Given(new Origin(source, 1), Given.WHOLE);
    Optional<Tree> document =
        new TreeParser(given.source(), given.problems()).parse(TextFile.plain(text));
    if (!given.problems().isEmpty() && document.isEmpty()) {
      throw new SpecException(given.problems());
    }
    Overrides commandLine = new Overrides(overrides, given.problems());
    given.collect(commandLine.on(root(document, given)), "");
    Keys.ALL.forEach(given::settle);

    NamedFiles files = new NamedFiles(around, folder, given);
    List<String> prompts = files.prompts();
    String checkpoint = files.checkpoint();
    List<RewardSpec.Part> parts = new RewardReading(around, files, given).parts();
    new CrossChecks(given).check();
    Permissions permissions = new Permissions(around, given);
    around.confinement().ifPresent(allowed -> permissions.confine(allowed, prompts.size()));
    if (around.toSend() || around.confinement().isPresent()) {
      permissions.leaveToServer();
    }
    throwProblems(given.problems(), commandLine.sources());

    given.put(NamedFiles.PROMPTS_LIST, prompts);
    given.put(NamedFiles.CHECKPOINT, checkpoint);
    given.put(RewardReading.PARTS, parts);
    Defaults.put(given, !prompts.isEmpty(), parts, around.processors());
    RunSpec spec = new Binder(given).bind(RunSpec.class, "");
    for (Feasibility.Finding finding : Feasibility.refusals(spec)) {
      given.add(Code.CONFLICT, given.origin(finding.path()), finding.path(), finding.message());
    }
    throwProblems(given.problems(), commandLine.sources());
    return spec;
  }

  private static SpecException unreadable(Path file, Code code, String message) {
    return new SpecException(
        List.of(new SpecProblem(code, new Origin(file.toString(), 0), "", message)));
  }

  private static Tree.Mapping root(Optional<Tree> document, Given given) {
    Tree.Mapping empty = new Tree.Mapping(given.source().at(0), Map.of());
    return switch (document.orElse(empty)) {
      case Tree.Mapping mapping -> mapping;
      case Tree other -> {
        given.add(Code.WRONG_TYPE, other.origin(), "", other.describe() + "; give keys and values");
        yield empty;
      }
    };
  }

  /**
   * @param sources of the command line, in its order
   */
  private static void throwProblems(List<SpecProblem> problems, List<String> sources) {
    if (problems.isEmpty()) {
      return;
    }
    // As they stand in the file, then as they stand on the command line.
    problems.sort(
        Comparator.comparing((SpecProblem problem) -> sources.indexOf(problem.origin().source()))
            .thenComparing(problem -> problem.origin().line()));
    throw new SpecException(problems);
  }
}
