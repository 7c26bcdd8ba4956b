package dev.vard.cli;

import dev.vard.run.FineTuning;
import dev.vard.run.RunEnd;
import dev.vard.run.RunEvent;
import dev.vard.run.RunException;
import dev.vard.run.RunFolder;
import dev.vard.run.RunJson;
import dev.vard.run.RunPlan;
import dev.vard.run.RunResult;
import dev.vard.run.RunStatus;
import dev.vard.spec.KlSpec;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecException;
import dev.vard.spec.SpecReader;
import dev.vard.store.StoreException;
import dev.vard.text.ShellCommand;
import dev.vard.worker.WorkerClient;
import dev.vard.worker.WorkerException;
import dev.vard.worker.WorkerSecurity;
import io.micronaut.context.BeanProvider;
import io.micronaut.context.exceptions.BeanInstantiationException;
import jakarta.inject.Inject;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
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
      "130:the run was told to stop (Ctrl-C); --resume goes on with it"
    })
final class RunCommand implements Callable<Integer> {
  private final SpecReader reader;
  private final MachineSettings machine;
  private final Console console;
  private final BeanProvider<WorkerSecurity> security;

  @Spec private CommandSpec command;

  @Parameters(
      paramLabel = "SPEC",
      arity = "0..1",
      description = "A specification in YAML: docs/specification.md.")
  private Optional<Path> specification = Optional.empty();

  @Option(
      names = "--resume",
      paramLabel = "DIR",
      description = "Instead of SPEC: go on with the run of this folder, where it was.")
  private Optional<Path> resume = Optional.empty();

  @Option(
      names = "--discard-edits",
      description =
          "With --resume: go on as the run was begun, though its specification was edited since;"
              + " the edited file is set aside.")
  private boolean discardEdits;

  @Option(
      names = "--ephemeral",
      description = "Keep no database and no checkpoints: the run cannot be gone on with.")
  private boolean ephemeral;

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
      names = "--plan",
      description =
          "Train nothing: say what would be loaded and trained, the memory that it takes, and how"
              + " many reward queries and steps there are.")
  private boolean plan;

  @Option(
      names = "--json",
      description = "Print the result as one line of JSON, and everything else to standard error.")
  private boolean json;

  @Option(names = "--verbose", description = "Print stack traces of errors.")
  private boolean verbose;

  @Inject
  RunCommand(
      SpecReader reader,
      MachineSettings machine,
      Console console,
      BeanProvider<WorkerSecurity> security) {
    this.reader = reader;
    this.machine = machine;
    this.console = console;
    this.security = security;
  }

  @Override
  public Integer call() throws InterruptedException {
    try {
      return resume.isPresent() ? resumeRun(resume.get()) : newRun();
    } catch (SpecException e) {
      console.err().println(e.getMessage());
      return ExitCode.BAD_USAGE;
    } catch (RunException e) {
      return failed(e, e.cancelled() ? ExitCode.CANCELLED : ExitCode.FAILED);
    } catch (StoreException e) {
      return failed(e, ExitCode.FAILED);
    } catch (BeanInstantiationException e) {
      // Settings that do not go together.
      return failed(
          e.getCause() instanceof IllegalArgumentException cause ? cause : e, ExitCode.BAD_USAGE);
    } catch (WorkerException e) {
      return failed(
          e, e.kind() == WorkerException.Kind.CANCELLED ? ExitCode.CANCELLED : ExitCode.FAILED);
    }
  }

  private int newRun() throws InterruptedException {
    Path file = specification.orElseThrow(() -> wrong("give a SPEC, or --resume DIR"));
    if (discardEdits) {
      throw wrong("--discard-edits belongs to --resume; remove it");
    }
    RunSpec spec = read(file);
    if (plan) {
      return plan(spec);
    }
    out.filter(folder -> !RunFolder.isFree(folder))
        .ifPresent(
            folder -> {
              throw wrong(
                  "--out " + folder + ": the folder holds something already; name a new one");
            });
    try (Cancellation cancellation = Cancellation.ofThisThread(console)) {
      RunFolder folder =
          out.map(root -> RunFolder.at(root, spec))
              .orElseGet(() -> RunFolder.under(Path.of(machine.runs()), spec));
      folder.keepSpec(file);
      if (ephemeral) {
        return runEphemeral(spec, folder);
      }
      try (KeptRun run = KeptRun.begin(folder, spec, security.get())) {
        return run(run);
      }
    }
  }

  private int plan(RunSpec spec) {
    try (Cancellation cancellation = Cancellation.ofThisThread(console);
        WorkerClient client = FineTuning.openWorker(spec, planLog(), security.get())) {
      RunPlan told = RunPlan.of(spec, client);
      console
          .out()
          .println(json ? new RunJson().write(told) : new PlanTable(told).text().stripTrailing());
      return ExitCode.OK;
    }
  }

  /** Takes what a local worker says; a plan has no folder. */
  private static Path planLog() {
    return Path.of(System.getProperty("java.io.tmpdir"))
        .resolve("vard-plan-" + ProcessHandle.current().pid() + ".log");
  }

  private int resumeRun(Path root) throws InterruptedException {
    List<String> idle = new ArrayList<>(overrides.stream().map(set -> "--set " + set).toList());
    specification.ifPresent(file -> idle.addFirst(file.toString()));
    out.ifPresent(folder -> idle.add("--out"));
    if (ephemeral) {
      idle.add("--ephemeral");
    }
    if (plan) {
      idle.add("--plan");
    }
    if (!idle.isEmpty()) {
      throw wrong(
          ("--resume goes on with a run as it was begun, and would not heed %s: leave that away, or"
                  + " start a new run (%s)")
              .formatted(
                  String.join(", ", idle),
                  ShellCommand.vard("run", specification.orElse(root.resolve("spec.yaml")))));
    }
    if (!KeptRun.isIn(root)) {
      throw wrong("--resume " + root + ": no run was kept there; name the folder of a run");
    }
    try (Cancellation cancellation = Cancellation.ofThisThread(console);
        KeptRun run = KeptRun.resume(root, reader, worker, discardEdits, security.get())) {
      if (run.done()) {
        console
            .err()
            .println("vard: the run has reached its end; see " + run.folder().reportFile());
        return ExitCode.OK;
      }
      return run(run);
    }
  }

  private ParameterException wrong(String message) {
    return new ParameterException(command.commandLine(), message);
  }

  private RunSpec read(Path file) {
    List<String> all = new ArrayList<>(overrides);
    worker.ifPresent(road -> all.add("worker=" + road));
    RunSpec spec = reader.read(file, all);
    if (spec.reward().supplied()) {
      throw wrong(
          file
              + ": reward.kind: supplied needs a Java program that brings the reward; give another"
              + " kind");
    }
    return spec;
  }

  private int run(KeptRun run) throws InterruptedException {
    Path root = run.folder().root();
    RunEnd end;
    try (ConsoleProgress progress = ConsoleProgress.onStandardError()) {
      if (resume.isPresent()) {
        // The run told of its start in an earlier life.
        progress.onEvent(RunEvent.Started.of(run.spec(), run.folder(), Instant.now()));
      }
      end = run.run(progress);
    } catch (InterruptedException e) {
      console.err().println("vard: told to stop; to go on: " + toResume(root));
      return ExitCode.CANCELLED;
    }
    if (end.result().isPresent()) {
      print(run.spec(), run.folder(), end.result().get());
      return ExitCode.OK;
    }
    console.err().println("vard: " + end.reason());
    end.problem().filter(problem -> verbose).ifPresent(e -> e.printStackTrace(console.err()));
    console.err().println("vard: what the run wrote is in " + root);
    if (end.status() != RunStatus.FAILED) {
      console.err().println("vard: to go on with it: " + toResume(root));
    }
    return end.status() == RunStatus.CANCELLED ? ExitCode.CANCELLED : ExitCode.FAILED;
  }

  private static String toResume(Path root) {
    return ShellCommand.vard("run", "--resume", root);
  }

  private int runEphemeral(RunSpec spec, RunFolder folder) {
    try (ConsoleProgress progress = ConsoleProgress.onStandardError();
        WorkerClient client = FineTuning.openWorker(spec, folder.workerLog(), security.get())) {
      print(spec, folder, new FineTuning(spec).run(client, folder, progress));
      return ExitCode.OK;
    } catch (RunException e) {
      int code = failed(e, e.cancelled() ? ExitCode.CANCELLED : ExitCode.FAILED);
      console.err().println("vard: what the run wrote is in " + folder.root());
      return code;
    }
  }

  private void print(RunSpec spec, RunFolder folder, RunResult result) {
    (json ? console.err() : console.out()).print(closing(spec, folder, result));
    if (json) {
      console.out().println(new RunJson().write(result));
    }
  }

  private static String closing(RunSpec spec, RunFolder folder, RunResult result) {
    OptionalDouble budget =
        switch (spec.algorithm().kl()) {
          case KlSpec.KlBudget(double nats, int probes) -> OptionalDouble.of(nats);
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
