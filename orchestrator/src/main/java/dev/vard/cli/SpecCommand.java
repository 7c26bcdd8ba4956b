package dev.vard.cli;

import dev.vard.spec.SpecSchema;
import jakarta.inject.Inject;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code vard spec}: tells other programs what a specification may hold. */
@Command(
    name = "spec",
    mixinStandardHelpOptions = true,
    description = "Tells editors and other programs what a specification may hold.")
final class SpecCommand implements Callable<Integer> {
  private final Console console;

  @Option(
      names = "--schema",
      required = true,
      description =
          "Print a JSON Schema (draft 2020-12) of specifications: every key with its type, bounds,"
              + " default and meaning.")
  private boolean schema;

  @Inject
  SpecCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    console.out().print(SpecSchema.json());
    console.out().flush();
    return ExitCode.OK;
  }
}
