package dev.vard.run;

import dev.vard.files.PrivateFiles;
import dev.vard.files.TextFile;
import dev.vard.spec.Origin;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecDiff;
import dev.vard.spec.SpecException;
import dev.vard.spec.SpecProblem;
import dev.vard.spec.SpecWriter;
import dev.vard.text.ShellCommand;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * The specification that a run was begun with, and what somebody made since of its copies in the
 * run's folder. A run goes on as it was begun: an edit would have no effect, and must not be lost
 * without a word either.
 */
public final class KeptSpec {
  static final String GIVEN = "spec.yaml";
  static final String RESOLVED = "spec.resolved.yaml";

  /** The text of {@link #GIVEN} as it was at the beginning. */
  private static final String ORIGINAL = ".spec.yaml";

  /**
   * What is kept of a specification: all of it, every default named, and the version of that.
   *
   * @see KeptFormat
   */
  public static String text(RunSpec spec) {
    return KeptFormat.named(SpecWriter.write(spec));
  }

  private final Path root;
  private final Map<String, String> originals = new LinkedHashMap<>();

  private KeptSpec(Path root) {
    this.root = root;
  }

  /**
   * Of a run's folder.
   *
   * @param resolved what the run was begun with, as the database has it
   * @throws RunException STORAGE; NEWER_STATE
   */
  public static KeptSpec of(Path root, String resolved) {
    KeptFormat.readable(resolved);
    KeptSpec kept = new KeptSpec(root);
    if (Files.exists(root.resolve(ORIGINAL))) {
      kept.originals.put(GIVEN, kept.read(ORIGINAL));
    }
    kept.originals.put(RESOLVED, resolved);
    return kept;
  }

  /** Keeps a specification as it was given. */
  static void keep(Path file, Path root) {
    try {
      byte[] given = Files.readAllBytes(file);
      PrivateFiles.write(root.resolve(GIVEN), given);
      PrivateFiles.write(root.resolve(ORIGINAL), given);
    } catch (IOException e) {
      throw RunException.storage(file + " cannot be copied to " + root + ": " + e, e);
    }
  }

  /**
   * @throws SpecException if a copy was edited since the run began, with the keys that were changed
   */
  public void requireUnedited() {
    List<SpecProblem> problems = new ArrayList<>();
    for (String name : originals.keySet()) {
      List<String> edits = edits(name);
      if (!edits.isEmpty()) {
        Path file = root.resolve(name);
        problems.add(
            new SpecProblem(
                SpecProblem.Code.CONFLICT,
                new Origin(file.toString(), 0),
                "",
                ("was edited since the run began (%s), but a run goes on as it was begun; start a"
                        + " new run (%s), or go on as before with --discard-edits, which"
                        + " sets the edited file aside as %s")
                    .formatted(
                        String.join("; ", edits),
                        ShellCommand.vard("run", file),
                        aside(name).getFileName())));
      }
    }
    if (!problems.isEmpty()) {
      throw new SpecException(problems);
    }
  }

  /** Brings back what the run was begun with; edited copies are set aside. */
  public void discardEdits() {
    for (String name : originals.keySet()) {
      if (!edits(name).isEmpty()) {
        Path file = root.resolve(name);
        try {
          Files.move(file, aside(name));
          PrivateFiles.write(file, originals.get(name));
        } catch (IOException e) {
          throw RunException.storage(file + " cannot be brought back: " + e, e);
        }
      }
    }
  }

  private List<String> edits(String name) {
    return Files.exists(root.resolve(name))
        ? SpecDiff.between(Objects.requireNonNull(originals.get(name)), read(name))
        : List.of();
  }

  /** As {@code spec.edited.yaml}; where there is one already, {@code spec.edited-2.yaml}. */
  private Path aside(String name) {
    Path file = root.resolve(name.replace(".yaml", ".edited.yaml"));
    for (int i = 2; Files.exists(file); i++) {
      file = root.resolve(name.replace(".yaml", ".edited-" + i + ".yaml"));
    }
    return file;
  }

  private String read(String name) {
    try {
      return TextFile.read(root.resolve(name));
    } catch (IOException e) {
      throw RunException.storage(root.resolve(name) + " cannot be read as UTF-8 text: " + e, e);
    }
  }
}
