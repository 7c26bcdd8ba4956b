package dev.vard.cli.client;

import dev.vard.cli.Console;
import dev.vard.proto.v1.GetRunRequest;
import dev.vard.proto.v1.Run;
import io.micronaut.context.annotation.Prototype;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vard watch}: follows a run's events. */
@Prototype
@Command(
    name = "watch",
    mixinStandardHelpOptions = true,
    description =
        "Follows a run to its end, a line an event, over lost connections too. Ctrl-C ends the"
            + " watching, not the run.",
    exitCodeListHeading = "Exit codes:%n",
    exitCodeList = {
      "0:the run is done",
      "1:the run failed, or the server refused or cannot be reached",
      "2:the command is wrong",
      "130:the run was cancelled, or the watching was (Ctrl-C)"
    })
public final class WatchCommand implements Callable<Integer> {
  private final Console console;

  @Mixin private ServerOptions options;

  @Parameters(paramLabel = "RUN", converter = RunName.Converter.class, description = "Its name.")
  private RunName run;

  @Option(
      names = "--after",
      paramLabel = "N",
      description = "Only events after the one with this number. Without it: all.")
  private long after;

  WatchCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    return options.talk(
        server -> {
          // Also the test of the way there: a server that never answered is not waited for.
          Run known =
              server.call().getRun(GetRunRequest.newBuilder().setName(run.toString()).build());
          return new WatchedRun(server, console, options.json()).follow(known, after);
        });
  }
}
