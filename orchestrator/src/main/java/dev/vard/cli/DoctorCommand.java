package dev.vard.cli;

import dev.vard.proto.v1.DescribeRequest;
import dev.vard.proto.v1.DescribeResponse;
import dev.vard.worker.WorkerClient;
import dev.vard.worker.WorkerClients;
import dev.vard.worker.WorkerEnvironment;
import dev.vard.worker.WorkerException;
import dev.vard.worker.WorkerLocation;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** Tells what is here and what is missing, by trying it. Exit code 1 if something is missing. */
@Command(name = "doctor", description = "Tells what is here, what is missing, and how to get it.")
public final class DoctorCommand implements Callable<Integer> {
  private static final Duration PATIENCE = Duration.ofMinutes(2);
  private static final String ANY_COMPILER =
      "install one (Debian, Ubuntu: apt install build-essential; macOS: xcode-select --install),"
          + " then ./vard setup; without it only \"worker: embedded\" is missing";

  /** Some distributions' Maven colours what it says even where nobody sees it. */
  private static final Pattern COLOUR = Pattern.compile("\\x1B\\[[0-9;]*m");

  @Spec private CommandSpec spec;

  private enum State {
    OK,
    /** Not here, and not needed. */
    NONE,
    MISSING
  }

  private record Finding(State state, String text) {}

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    boolean complete = true;
    // Each line as soon as it is known: the last ones take seconds.
    List<Supplier<Stream<Finding>>> checks =
        List.of(this::jdk, this::maven, this::compiler, this::python, this::local, this::embedded);
    for (Supplier<Stream<Finding>> check : checks) {
      for (Finding finding : check.get().toList()) {
        out.printf("%-7s  %s%n", finding.state().name().toLowerCase(Locale.ROOT), finding.text());
        out.flush();
        complete &= finding.state() != State.MISSING;
      }
    }
    return complete ? 0 : 1;
  }

  private Stream<Finding> jdk() {
    return Stream.of(
        new Finding(
            State.OK, "JDK " + Runtime.version() + " in " + System.getProperty("java.home")));
  }

  private Stream<Finding> maven() {
    return Stream.of(
        firstLine("mvn", "--batch-mode", "--version")
            .map(version -> new Finding(State.OK, version))
            .orElse(
                new Finding(
                    State.MISSING,
                    "Maven: install it (Debian, Ubuntu: apt install maven; macOS: brew install"
                        + " maven)")));
  }

  private Stream<Finding> compiler() {
    return Stream.of(
        firstLine("cc", "--version")
            .map(version -> new Finding(State.OK, "C compiler: " + version))
            .orElse(new Finding(State.MISSING, "a C compiler: " + ANY_COMPILER)));
  }

  private Stream<Finding> python() {
    try {
      String python = WorkerEnvironment.find().python().toString();
      return Stream.of(
          firstLine(python, "--version")
              .map(version -> new Finding(State.OK, version + " at " + python))
              .orElse(
                  new Finding(
                      State.MISSING,
                      "Python: "
                          + python
                          + " does not run; remove its folder .venv and run ./vard setup")));
    } catch (WorkerException e) {
      return Stream.of(new Finding(State.MISSING, "Python: " + e.getMessage()));
    }
  }

  private Stream<Finding> local() {
    return worker(
        "local",
        worker -> {
          String gpus =
              worker.getDevicesList().stream()
                  .filter(device -> device.startsWith("cuda"))
                  .collect(Collectors.joining(", "));
          return Stream.of(
              new Finding(
                  State.OK,
                  "worker: local answers, with PyTorch "
                      + worker.getTorchVersion()
                      + ", diffusers "
                      + worker.getDiffusersVersion()
                      + ", "
                      + worker.getThreads()
                      + " threads"),
              gpus.isEmpty()
                  ? new Finding(
                      State.NONE, "GPU: PyTorch finds no CUDA device, so runs use the CPU")
                  : new Finding(State.OK, "GPU: " + gpus));
        });
  }

  private Stream<Finding> embedded() {
    return worker(
        "embedded",
        worker ->
            Stream.of(
                new Finding(
                    State.OK,
                    "worker: embedded answers, by Jep in this JVM, with PyTorch "
                        + worker.getTorchVersion())));
  }

  private static Stream<Finding> worker(
      String location, Function<DescribeResponse, Stream<Finding>> tell) {
    try (WorkerClient client = WorkerClients.open(WorkerLocation.parse(location))) {
      return tell.apply(client.describe(DescribeRequest.getDefaultInstance(), PATIENCE));
    } catch (WorkerException e) {
      return Stream.of(new Finding(State.MISSING, "worker: " + location + ": " + e.getMessage()));
    }
  }

  /** What a program says first; empty if it cannot be started or fails. */
  private static Optional<String> firstLine(String... command) {
    try {
      Process process =
          new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
      String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      return process.waitFor() == 0
          ? output.lines().map(COLOUR::matcher).map(colour -> colour.replaceAll("")).findFirst()
          : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return Optional.empty();
    }
  }
}
