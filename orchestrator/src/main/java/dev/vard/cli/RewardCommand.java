package dev.vard.cli;

import dev.vard.algorithm.NotFiniteException;
import dev.vard.files.TextFile;
import dev.vard.reward.RewardException;
import dev.vard.reward.Rewards;
import dev.vard.reward.kind.RewardEnvironment;
import dev.vard.reward.kind.RewardKinds;
import dev.vard.run.Calibration;
import dev.vard.run.Calibration.Given;
import dev.vard.run.RunJson;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecException;
import dev.vard.spec.SpecReader;
import jakarta.inject.Inject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code vard reward}: asks a specification's reward for scores of given images. */
@Command(
    name = "reward",
    mixinStandardHelpOptions = true,
    description = {
      "Scores given images by a specification's reward, as a run would ask it: a table, a"
          + " histogram, failures and latency.",
      "An image's prompt stands in a file of its name that ends in .txt instead, or in the file of"
          + " --prompts."
    },
    exitCodeListHeading = "Exit codes:%n",
    exitCodeList = {
      "0:every image has a score",
      "1:the reward could not be opened, or some image has no score",
      "2:the specification or the command is wrong",
      "130:it was told to stop (Ctrl-C)"
    })
final class RewardCommand implements Callable<Integer> {
  private static final List<String> ENDINGS = List.of(".png", ".jpg", ".jpeg");

  private final SpecReader reader;
  private final Console console;

  @Spec private CommandSpec command;

  @Parameters(
      paramLabel = "SPEC",
      description = "A specification in YAML: docs/specification.md. Only its reward counts.")
  private Path specification;

  @Option(
      names = "--images",
      required = true,
      paramLabel = "DIR",
      description = "A folder with PNGs and JPEGs.")
  private Path images;

  @Option(
      names = "--prompts",
      paramLabel = "FILE",
      description = "Prompts, one a line, for the images in the order of their names.")
  private Optional<Path> prompts = Optional.empty();

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Sets a key of the specification, as reward.quality=80. Repeatable.")
  private List<String> overrides = new ArrayList<>();

  @Option(names = "--json", description = "Print one line of JSON instead of the table.")
  private boolean json;

  @Inject
  RewardCommand(SpecReader reader, Console console) {
    this.reader = reader;
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    RunSpec spec;
    try {
      spec = reader.read(specification, overrides);
    } catch (SpecException e) {
      console.err().println(e.getMessage());
      return ExitCode.BAD_USAGE;
    }
    if (spec.reward().supplied()) {
      throw wrong(
          specification
              + ": reward.kind: supplied needs a Java program that brings the reward; give another"
              + " kind");
    }
    List<Given> given = given();
    Path log = Files.createTempFile("vard-reward-", ".log");
    int code = ExitCode.FAILED;
    try {
      code = score(spec, given, log);
    } finally {
      keepIfItTells(log, code);
    }
    return code;
  }

  private int score(RunSpec spec, List<Given> given, Path log) {
    RewardKinds kinds = new RewardKinds(RewardEnvironment.of(log));
    Thread asking = Thread.currentThread();
    try (Cancellation cancellation = Cancellation.of(console, "stopping", asking::interrupt);
        Rewards rewards = kinds.open(Calibration.patient(spec.reward()))) {
      Calibration calibration = Calibration.of(rewards, given);
      if (json) {
        console.out().println(new RunJson().write(calibration));
      } else {
        console.out().print(new CalibrationTable(calibration).text());
      }
      return calibration.complete() ? ExitCode.OK : ExitCode.FAILED;
    } catch (RewardException | NotFiniteException e) {
      console.err().println("vard: " + e.getMessage());
      return ExitCode.FAILED;
    } catch (InterruptedException e) {
      return ExitCode.CANCELLED;
    }
  }

  /** What a reward's process wrote may tell why it failed. */
  private void keepIfItTells(Path log, int code) throws IOException {
    if (code != ExitCode.FAILED || Files.size(log) == 0) {
      Files.delete(log);
    } else {
      console.err().println("vard: what the reward's process wrote is in " + log);
    }
  }

  private List<Given> given() throws IOException {
    if (!Files.isDirectory(images)) {
      throw wrong("--images " + images + ": there is no such folder");
    }
    List<Path> files;
    try (Stream<Path> all = Files.list(images)) {
      files = all.filter(RewardCommand::isImage).sorted().toList();
    }
    if (files.isEmpty()) {
      throw wrong("--images " + images + ": the folder has no PNG and no JPEG");
    }
    List<String> lines = prompts.isPresent() ? lines(prompts.get()) : List.of();
    if (prompts.isPresent() && lines.size() != files.size()) {
      throw wrong(
          "--prompts %s: %d lines for %d images; give one for each, in the order of their names"
              .formatted(prompts.get(), lines.size(), files.size()));
    }
    List<Given> given = new ArrayList<>();
    for (int i = 0; i < files.size(); i++) {
      given.add(new Given(files.get(i), lines.isEmpty() ? beside(files.get(i)) : lines.get(i)));
    }
    return given;
  }

  private List<String> lines(Path file) {
    try {
      return TextFile.lines(file);
    } catch (IOException e) {
      throw wrong("--prompts " + file + ": cannot be read as text (" + e.getMessage() + ")");
    }
  }

  private static boolean isImage(Path file) {
    String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
    return ENDINGS.stream().anyMatch(name::endsWith) && Files.isRegularFile(file);
  }

  private static String beside(Path image) throws IOException {
    String name = image.getFileName().toString();
    Path text = image.resolveSibling(name.substring(0, name.lastIndexOf('.')) + ".txt");
    return Files.isRegularFile(text) ? TextFile.read(text).strip() : "";
  }

  private ParameterException wrong(String message) {
    return new ParameterException(command.commandLine(), message);
  }
}
