package dev.vard.cli.client;

import dev.vard.cli.Console;
import dev.vard.cli.ExitCode;
import dev.vard.cli.Terminal;
import dev.vard.proto.v1.DeleteRunRequest;
import io.micronaut.context.annotation.Prototype;
import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code vard delete}: removes a run and its files. */
@Prototype
@Command(
    name = "delete",
    mixinStandardHelpOptions = true,
    description = "Forgets a run that does not run, and removes its files from the server.")
public final class DeleteCommand implements Callable<Integer> {
  private final Console console;

  @Spec private CommandSpec command;
  @Mixin private ServerOptions options;

  @Parameters(paramLabel = "RUN", converter = RunName.Converter.class, description = "Its name.")
  private RunName run;

  @Option(names = "--yes", description = "Do not ask.")
  private boolean yes;

  DeleteCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    if (!yes && !agreed()) {
      console.err().println("vard: " + run + " stays");
      return ExitCode.FAILED;
    }
    return options.talk(
        server -> {
          var deleted =
              server
                  .call()
                  .deleteRun(DeleteRunRequest.newBuilder().setName(run.toString()).build());
          console.out().println(options.json() ? ProtoJson.line(deleted) : run + ": deleted");
          return ExitCode.OK;
        });
  }

  private boolean agreed() throws IOException {
    if (!Terminal.hasInput()) {
      throw new ParameterException(
          command.commandLine(), "nobody is here to ask whether to delete " + run + "; give --yes");
    }
    return new Question(System.in, console.err()).yes("Delete " + run + " and all its files?");
  }
}
