package dev.vard.run;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.algorithm.Trajectory;
import dev.vard.files.FileTrouble;
import dev.vard.files.PrivateFiles;
import dev.vard.report.HtmlReport;
import dev.vard.report.ReportException;
import dev.vard.reward.Image;
import dev.vard.spec.RunSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a run leaves behind.
 *
 * <pre>
 *   spec.yaml               as given
 *   spec.resolved.yaml      with every default and override
 *   metrics.jsonl           events, one a line
 *   rewards.jsonl           reward queries, when they were asked and answered
 *   samples/0004/0000.png   images of the evaluation after four iterations
 *   samples/evaluation.json their prompts and seeds
 *   checkpoints/0004-…/     what the run goes on from after a kill
 *   export/                 what diffusers' load_lora_weights takes
 *   report.html
 *   worker.log              of a worker that the run started
 * </pre>
 *
 * @param runId the run's id
 */
public record RunFolder(Path root, String runId) {
  private static final Logger LOG = LoggerFactory.getLogger(RunFolder.class);
  private static final String DAMAGED = ".damaged";
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

  /**
   * The folder of a run that exists already, or is to be made by {@link #prepare}.
   *
   * @param runId the run's id
   */
  public static RunFolder of(Path root, String runId) {
    return new RunFolder(root, runId);
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
    RunFolder folder = new RunFolder(root, runId);
    folder.prepare(spec, false);
    return folder;
  }

  /**
   * Makes sure that the folder is there and can be written.
   *
   * @param begun whether the run has something in it: then a folder that is missing is not made
   *     anew, for what is lost may only be out of reach
   * @throws RunException STORAGE
   */
  void prepare(RunSpec spec, boolean begun) {
    Path resolved = root.resolve(KeptSpec.RESOLVED);
    if (begun && !Files.isReadable(resolved)) {
      throw RunException.storage(
          "the run's folder " + root + " is not there or cannot be read: bring it back", null);
    }
    try {
      PrivateFiles.createFolders(root.resolve("samples"));
      PrivateFiles.createFolders(root.resolve("checkpoints"));
      // A run stays as it was begun; what somebody made of the file since is not written over.
      if (!Files.exists(resolved)) {
        PrivateFiles.replace(resolved, KeptSpec.text(spec));
      }
    } catch (IOException e) {
      throw RunException.storage(
          "the run's folder " + root + " cannot be written: " + FileTrouble.reason(e), e);
    }
  }

  /** Keeps the specification as it was given. */
  public void keepSpec(Path file) {
    KeptSpec.keep(file, root);
  }

  public Path export() {
    return root.resolve("export");
  }

  public Path metrics() {
    return root.resolve("metrics.jsonl");
  }

  /**
   * @param path relative to the folder
   */
  Path file(String path) {
    return root.resolve(path);
  }

  /** What {@link RewardLog} writes. */
  Path rewards() {
    return root.resolve("rewards.jsonl");
  }

  /** What processes of rewards write. */
  public Path rewardLog() {
    return root.resolve("reward.log");
  }

  /** Images that wait for their scores. */
  Path pending() {
    return root.resolve("pending");
  }

  /** The report's file, if there is one. */
  public Path reportFile() {
    return root.resolve("report.html");
  }

  /**
   * Writes the report, of what there is: a run that failed is worth a look too. One that never
   * started has none.
   */
  void report() {
    try {
      new HtmlReport().write(root);
    } catch (ReportException e) {
      if (e.code() != ReportException.Code.NO_RUN) {
        LOG.warn("There is no report: {}", e.getMessage());
      }
    }
  }

  /**
   * Leaves the folder as a run's end wants it: the metrics as the journal has them, and the report.
   *
   * @throws RunException STORAGE
   */
  public void conclude(RunJournal journal) {
    writeMetrics(journal.events());
    report();
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
      PrivateFiles.replace(file, new ObjectMapper().writeValueAsString(items));
    } catch (IOException e) {
      throw RunException.storage(file + " cannot be written: " + FileTrouble.reason(e), e);
    }
  }

  /**
   * @param iteration after how many iterations
   * @param index in the evaluation
   */
  void writeSample(int iteration, int index, Image image) {
    Path file = root.resolve("samples/%04d/%04d.png".formatted(iteration, index));
    try {
      PrivateFiles.createFolders(Objects.requireNonNull(file.getParent()));
      image.writePng(file);
    } catch (IOException e) {
      throw RunException.storage(file + " cannot be written: " + FileTrouble.reason(e), e);
    }
  }

  /** Appends a line, at once: a run that is killed keeps what it had told. */
  void appendMetrics(String line) {
    try {
      PrivateFiles.create(metrics());
      Files.writeString(metrics(), line + "\n", StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw RunException.storage(metrics() + " cannot be written: " + FileTrouble.reason(e), e);
    }
  }

  /** Writes the metrics anew, as the journal has them: a kill may have torn or doubled a line. */
  void writeMetrics(List<String> lines) {
    try {
      PrivateFiles.replace(metrics(), lines.isEmpty() ? "" : String.join("\n", lines) + "\n");
    } catch (IOException e) {
      throw RunException.storage(metrics() + " cannot be written: " + FileTrouble.reason(e), e);
    }
  }

  /** Removes a folder and all in it, if it is there. */
  void remove(String path) {
    Path folder = file(path);
    try {
      if (Files.exists(folder)) {
        deleteTree(folder);
      }
    } catch (IOException e) {
      throw RunException.storage(folder + " cannot be removed: " + FileTrouble.reason(e), e);
    }
  }

  /** Takes a folder out of use, but leaves it for somebody to look at. */
  void setAside(String path) {
    Path folder = file(path);
    try {
      if (Files.exists(folder)) {
        remove(path + DAMAGED);
        Files.move(folder, file(path + DAMAGED));
      }
    } catch (IOException e) {
      throw RunException.storage(folder + " cannot be set aside: " + FileTrouble.reason(e), e);
    }
  }

  /** Removes what is in a folder, but for these names and what was set aside. */
  void keepOnly(String path, Set<String> names) {
    try (Stream<Path> entries = Files.list(file(path))) {
      for (Path entry : entries.toList()) {
        String name = entry.getFileName().toString();
        if (!names.contains(name) && !name.endsWith(DAMAGED)) {
          deleteTree(entry);
        }
      }
    } catch (IOException e) {
      throw RunException.storage(file(path) + " cannot be tidied: " + FileTrouble.reason(e), e);
    }
  }

  private static void deleteTree(Path root) throws IOException {
    try (Stream<Path> all = Files.walk(root)) {
      for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
