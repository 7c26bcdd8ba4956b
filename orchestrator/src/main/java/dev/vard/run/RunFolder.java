package dev.vard.run;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.algorithm.Trajectory;
import dev.vard.reward.Image;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecWriter;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.stream.Stream;

/**
 * What a run leaves behind.
 *
 * <pre>
 *   spec.yaml               as given
 *   spec.resolved.yaml      with every default and override
 *   metrics.jsonl           events, one a line
 *   samples/0004/0000.png   images of the evaluation after four iterations
 *   samples/evaluation.json their prompts and seeds
 *   export/                 what diffusers' load_lora_weights takes
 *   report.html
 *   worker.log              of a worker that the run started
 * </pre>
 *
 * @param runId the run's id
 */
public record RunFolder(Path root, String runId) {
  private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss");

  /** A new folder, named by the run's id. */
  public static RunFolder under(Path parent, RunSpec spec) {
    String runId = newId(spec);
    return create(parent.resolve(runId), runId, spec);
  }

  /** A new folder of this name, which may exist if it is empty. */
  public static RunFolder at(Path root, RunSpec spec) {
    return create(root, newId(spec), spec);
  }

  /** Whether a run may be written here: nothing there yet, or an empty folder. */
  public static boolean isFree(Path root) {
    if (!Files.exists(root)) {
      return true;
    }
    try (Stream<Path> entries = Files.list(root)) {
      return entries.findAny().isEmpty();
    } catch (IOException e) {
      return false;
    }
  }

  private static String newId(RunSpec spec) {
    return spec.name() + "-" + LocalDateTime.now().format(TIME);
  }

  private static RunFolder create(Path root, String runId, RunSpec spec) {
    if (!isFree(root)) {
      throw new RunException(
          "FOLDER_EXISTS", root + " holds something already: give a run a folder of its own");
    }
    try {
      Files.createDirectories(root.resolve("samples"));
      Files.writeString(root.resolve("spec.resolved.yaml"), SpecWriter.write(spec));
    } catch (IOException e) {
      throw RunException.storage("the run's folder " + root + " cannot be written: " + e, e);
    }
    return new RunFolder(root, runId);
  }

  /** Keeps the specification as it was given. */
  public void keepSpec(Path file) {
    try {
      Files.copy(file, root.resolve("spec.yaml"));
    } catch (IOException e) {
      throw RunException.storage(file + " cannot be copied to " + root + ": " + e, e);
    }
  }

  public Path export() {
    return root.resolve("export");
  }

  public Path metrics() {
    return root.resolve("metrics.jsonl");
  }

  public Path report() {
    return root.resolve("report.html");
  }

  public Path workerLog() {
    return root.resolve("worker.log");
  }

  /** Writes down which prompts and seeds the evaluation images are of. */
  void writeEvaluation(List<Trajectory> trajectories) {
    record Item(String prompt, long seed) {}
    List<Item> items = trajectories.stream().map(t -> new Item(t.prompt(), t.seed())).toList();
    Path file = root.resolve("samples/evaluation.json");
    try {
      Files.writeString(file, new ObjectMapper().writeValueAsString(items));
    } catch (IOException e) {
      throw RunException.storage(file + " cannot be written: " + e, e);
    }
  }

  /**
   * @param iteration after how many iterations
   * @param index in the evaluation
   */
  void writeSample(int iteration, int index, Image image) {
    Path file = root.resolve("samples/%04d/%04d.png".formatted(iteration, index));
    try {
      Files.createDirectories(file.getParent());
      image.writePng(file);
    } catch (IOException e) {
      throw RunException.storage(file + " cannot be written: " + e, e);
    }
  }

  /** Appends a line, at once: a run that is killed keeps what it had told. */
  void appendMetrics(String line) {
    try (BufferedWriter out =
        Files.newBufferedWriter(metrics(), StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
      out.write(line);
      out.newLine();
    } catch (IOException e) {
      throw RunException.storage(metrics() + " cannot be written: " + e, e);
    }
  }
}
