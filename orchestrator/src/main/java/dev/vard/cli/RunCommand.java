package dev.vard.cli;

import dev.vard.reward.Reward;
import dev.vard.run.FineTuning;
import dev.vard.run.RunException;
import dev.vard.run.RunFolder;
import dev.vard.run.RunJson;
import dev.vard.run.RunResult;
import dev.vard.spec.KlSpec;
import dev.vard.spec.RewardSpec;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecException;
import dev.vard.spec.SpecReader;
import dev.vard.worker.WorkerClient;
import dev.vard.worker.WorkerException;
import jakarta.inject.Inject;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code vard run}: fine-tunes as a specification says. */
@Command(
    name = "run",
    mixinStandardHelpOptions = true,
    description = "Fine-tunes a model as a specification says.",
    exitCodeListHeading = "Exit codes:%n",
    exitCodeList = {
      "0:the run reached its end",
      "1:the run failed",
      "2:the specification or the command is wrong",
      "130:the run was told to stop (Ctrl-C)"
    })
final class RunCommand implements Callable<Integer> {
  private final SpecReader reader;
  private final MachineSettings machine;
  private final Console console;

  @Spec private CommandSpec command;

  @Parameters(paramLabel = "SPEC", description = "A specification in YAML: docs/specification.md.")
  private Path specification;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Sets a key of the specification, as algorithm.iterations=4. Repeatable.")
  private List<String> overrides = new ArrayList<>();

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description = "The run's folder; must be new or empty. Without it: runs/<name>-<time>.")
  private Optional<Path> out = Optional.empty();

  @Option(
      names = "--worker",
      paramLabel = "WORKER",
      description = "local, embedded or host:port; short for --set worker=WORKER.")
  private Optional<String> worker = Optional.empty();

  @Option(
      names = "--json",
      description = "Print the result as one line of JSON, and everything else to standard error.")
  private boolean json;

  @Option(names = "--verbose", description = "Print stack traces of errors.")
  private boolean verbose;

  @Inject
  RunCommand(SpecReader reader, MachineSettings machine, Console console) {
    this.reader = reader;
    this.machine = machine;
    this.console = console;
  }

  @Override
  public Integer call() {
    RunSpec spec;
    try {
      spec = read();
    } catch (SpecException e) {
      console.err().println(e.getMessage());
      return ExitCode.BAD_USAGE;
    }
    out.filter(folder -> !RunFolder.isFree(folder))
        .ifPresent(
            folder -> {
              throw new ParameterException(
                  command.commandLine(),
                  "--out " + folder + ": the folder holds something already; name a new one");
            });
    try (Cancellation cancellation = Cancellation.ofThisThread(console)) {
      return run(spec);
    }
  }

  private RunSpec read() {
    List<String> all = new ArrayList<>(overrides);
    worker.ifPresent(road -> all.add("worker=" + road));
    RunSpec spec = reader.read(specification, all);
    if (spec.reward() instanceof RewardSpec.Supplied) {
      throw new ParameterException(
          command.commandLine(),
          specification
              + ": reward.kind: supplied needs a Java program that brings the reward; give another"
              + " kind");
    }
    return spec;
  }

  private int run(RunSpec spec) {
    RunFolder folder;
    try {
      folder =
          out.map(root -> RunFolder.at(root, spec))
              .orElseGet(() -> RunFolder.under(Path.of(machine.runs()), spec));
      folder.keepSpec(specification);
    } catch (RunException e) {
      return failed(e, ExitCode.FAILED);
    }
    RunResult result;
    try (ConsoleProgress progress = ConsoleProgress.onStandardError();
        WorkerClient client = FineTuning.openWorker(spec, folder.workerLog())) {
      result = new FineTuning(spec, Reward.of(spec.reward())).run(client, folder, progress);
    } catch (RunException e) {
      int code = failed(e, e.cancelled() ? ExitCode.CANCELLED : ExitCode.FAILED);
      console.err().println("vard: what the run wrote is in " + folder.root());
      return code;
    } catch (WorkerException e) {
      return failed(
          e, e.kind() == WorkerException.Kind.CANCELLED ? ExitCode.CANCELLED : ExitCode.FAILED);
    }
    (json ? console.err() : console.out()).print(closing(spec, folder, result));
    if (json) {
      console.out().println(new RunJson().write(result));
    }
    return ExitCode.OK;
  }

  private static String closing(RunSpec spec, RunFolder folder, RunResult result) {
    OptionalDouble budget =
        switch (spec.algorithm().kl()) {
          case KlSpec.KlBudget(double nats) -> OptionalDouble.of(nats);
          case KlSpec.KlWeight weight -> OptionalDouble.empty();
        };
    Optional<Path> report = Optional.of(folder.reportFile()).filter(Files::exists);
    return new ClosingTable(result, budget, report).text();
  }

  private int failed(RuntimeException e, int code) {
    console.err().println("vard: " + e.getMessage());
    if (verbose) {
      e.printStackTrace(console.err());
    }
    return code;
  }
}
