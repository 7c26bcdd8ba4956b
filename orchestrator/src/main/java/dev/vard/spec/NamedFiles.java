package dev.vard.spec;

import dev.vard.spec.SpecProblem.Code;
import dev.vard.spec.ValueType.Text;
import dev.vard.spec.ValueType.Texts;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The files that a specification names: they are looked for in the working directory first, then
 * beside the specification.
 */
final class NamedFiles {
  static final Key<String> CHECKPOINT = Keys.at("model.checkpoint", Text.class);
  static final Key<String> PROMPTS_FILE = Keys.at("prompts.file", Text.class);
  static final Key<List<String>> PROMPTS_LIST = Keys.at("prompts.list", Texts.class);

  private static final Pattern HUB_ID = Pattern.compile("[\\w.-]+/[\\w.-]+");

  private final Surroundings around;
  private final Path folder;
  private final Given given;

  /**
   * @param folder of the specification
   */
  NamedFiles(Surroundings around, Path folder, Given given) {
    this.around = around;
    this.folder = folder;
    this.given = given;
  }

  /** The same places, for a part of the reward. */
  NamedFiles of(Given part) {
    return new NamedFiles(around, folder, part);
  }

  List<String> prompts() {
    boolean file = given.has(PROMPTS_FILE);
    boolean list = given.has(PROMPTS_LIST);
    if (given.has("prompts") && file == list) {
      if (!given.hasProblem("prompts")) {
        given.add(
            Code.CONFLICT,
            given.origin("prompts"),
            "prompts",
            file ? "has both file and list; remove one" : "is empty; give file or list");
      }
      return List.of();
    }
    if (list) {
      return given.find(PROMPTS_LIST).orElse(List.of());
    }
    return around.confinement().isPresent()
        ? List.of()
        : given.find(PROMPTS_FILE).map(this::promptsOf).orElse(List.of());
  }

  private List<String> promptsOf(String name) {
    Origin origin = given.origin(PROMPTS_FILE);
    Path file = locate(name);
    if (!Files.isRegularFile(file)) {
      given.add(
          Code.MISSING_FILE,
          origin,
          PROMPTS_FILE.path(),
          "there is no file '" + name + "'" + places() + "; give a text file with a prompt a line");
      return List.of();
    }
    try {
      List<PromptFile.Line> prompts = PromptFile.read(file);
      if (prompts.isEmpty()) {
        given.add(
            Code.OUT_OF_RANGE,
            origin,
            PROMPTS_FILE.path(),
            "'" + name + "' holds no prompt; give a text file with a prompt a line");
      }
      for (PromptFile.Line line : prompts) {
        int length = PromptFile.length(line.prompt());
        if (length > PromptFile.LONGEST) {
          given.add(
              Code.OUT_OF_RANGE,
              new Origin(file.toString(), line.line()),
              PROMPTS_FILE.path(),
              "the prompt has "
                  + length
                  + " characters; give at most "
                  + PromptFile.LONGEST
                  + ", of which a text encoder reads some 77 tokens");
        }
      }
      return prompts.stream().map(PromptFile.Line::prompt).toList();
    } catch (IOException e) {
      given.add(
          Code.MISSING_FILE,
          origin,
          PROMPTS_FILE.path(),
          "'" + name + "' cannot be read as UTF-8 text; give a text file with a prompt a line");
      return List.of();
    }
  }

  String checkpoint() {
    String name = given.find(CHECKPOINT).orElse("");
    if (name.isEmpty() || around.toSend()) {
      return name;
    }
    return around
        .confinement()
        .map(allowed -> confinedCheckpoint(name, allowed))
        .orElseGet(() -> checkpoint(name));
  }

  private String checkpoint(String name) {
    Path path = locate(name);
    // The worker tells those who give a checkpoint of one file how it becomes a folder.
    if (Files.isDirectory(path) || Files.isRegularFile(path)) {
      return path.toAbsolutePath().normalize().toString();
    }
    // A missing folder of one's own must not become a download.
    boolean hub =
        HUB_ID.matcher(name).matches()
            && !Files.isDirectory(locate(name.substring(0, name.indexOf('/'))));
    if (!hub) {
      given.add(
          Code.MISSING_FILE,
          given.origin(CHECKPOINT),
          CHECKPOINT.path(),
          "there is no folder '"
              + name
              + "'"
              + places()
              + "; give "
              + CHECKPOINT.type().describe());
    }
    return name;
  }

  private String confinedCheckpoint(String name, Confinement allowed) {
    Optional<Path> folder = allowed.model(name);
    if (folder.isPresent()) {
      return folder.get().toString();
    }
    Origin origin = given.origin(CHECKPOINT);
    boolean hub = HUB_ID.matcher(name).matches() && !allowed.beginsHere(name);
    if (!hub) {
      given.add(
          Code.MISSING_FILE,
          origin,
          CHECKPOINT.path(),
          "there is no '"
              + name
              + "' in the server's model folders; name a model that its operator put there");
    } else if (!allowed.allowHub()) {
      given.add(
          Code.FORBIDDEN,
          origin,
          CHECKPOINT.path(),
          "the server takes no model from the hub; name one in its model folders, or ask its"
              + " operator to allow hub ids");
    }
    return name;
  }

  /** A file that is named here; of what is to be sent, as it was written. */
  Optional<Path> file(Key<?> key, String name) {
    if (around.toSend()) {
      return Optional.of(Path.of(name));
    }
    Optional<Path> found =
        around.confinement().isPresent()
            ? around.confinement().get().file(name)
            : Optional.of(locate(name).toAbsolutePath().normalize()).filter(Files::isRegularFile);
    if (found.isEmpty()) {
      given.add(
          Code.MISSING_FILE,
          given.origin(key),
          key.path(),
          "there is no file '"
              + name
              + "'"
              + (around.confinement().isPresent() ? " in the server's model folders" : places())
              + "; give "
              + key.type().describe());
    }
    return found;
  }

  private Path locate(String name) {
    Path here = around.workingDirectory().resolve(name);
    Path beside = around.workingDirectory().resolve(folder).resolve(name);
    return !Files.exists(here) && Files.exists(beside) ? beside : here;
  }

  private String places() {
    return folder.toString().isEmpty()
        ? " in the working directory"
        : " in the working directory or in " + folder;
  }
}
