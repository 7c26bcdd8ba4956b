package dev.vard.cli.client;

import dev.vard.cli.Console;
import dev.vard.cli.ExitCode;
import dev.vard.proto.v1.ResumeRunRequest;
import dev.vard.proto.v1.Run;
import io.micronaut.context.annotation.Prototype;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code vard resume}: puts a run back into the queue. */
@Prototype
@Command(
    name = "resume",
    mixinStandardHelpOptions = true,
    description =
        "Puts a paused, cancelled or failed run back into the queue. It goes on where it was.")
public final class ResumeCommand implements Callable<Integer> {
  private final Console console;

  @Mixin private ServerOptions options;

  @Parameters(paramLabel = "RUN", converter = RunName.Converter.class, description = "Its name.")
  private RunName run;

  ResumeCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    return options.talk(
        server -> {
          Run known =
              server
                  .call()
                  .resumeRun(ResumeRunRequest.newBuilder().setName(run.toString()).build());
          console.out().println(options.json() ? ProtoJson.line(known) : text(known));
          return ExitCode.OK;
        });
  }

  private static String text(Run run) {
    String queue = RunText.queue(run);
    return run.getName()
        + ": "
        + States.name(run.getState())
        + (queue.isEmpty() ? "" : ", " + queue);
  }
}
