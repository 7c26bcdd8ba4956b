package dev.vard.cli.client;

import dev.vard.cli.Console;
import dev.vard.cli.ExitCode;
import dev.vard.proto.v1.CancelRunRequest;
import dev.vard.proto.v1.Run;
import io.micronaut.context.annotation.Prototype;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code vard cancel}: stops a run. */
@Prototype
@Command(
    name = "cancel",
    mixinStandardHelpOptions = true,
    description = "Stops a run. It can be resumed.")
public final class CancelCommand implements Callable<Integer> {
  private final Console console;

  @Mixin private ServerOptions options;

  @Parameters(paramLabel = "RUN", converter = RunName.Converter.class, description = "Its name.")
  private RunName run;

  CancelCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    return options.talk(
        server -> {
          Run known =
              server
                  .call()
                  .cancelRun(CancelRunRequest.newBuilder().setName(run.toString()).build());
          console.out().println(options.json() ? ProtoJson.line(known) : text(known));
          return ExitCode.OK;
        });
  }

  /** A running one stops between two steps of its worker, which is after this answer. */
  private static String text(Run run) {
    return run.getName()
        + ": "
        + (States.ended(run.getState())
            ? States.name(run.getState())
            : "stops within seconds; `./vard show` tells when it has");
  }
}
