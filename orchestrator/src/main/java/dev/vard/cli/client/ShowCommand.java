package dev.vard.cli.client;

import dev.vard.cli.Console;
import dev.vard.cli.ExitCode;
import dev.vard.cli.Terminal;
import dev.vard.proto.v1.GetRunRequest;
import dev.vard.proto.v1.Run;
import io.micronaut.context.annotation.Prototype;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code vard show}: a run, as it stands. */
@Prototype
@Command(name = "show", mixinStandardHelpOptions = true, description = "Shows how a run stands.")
public final class ShowCommand implements Callable<Integer> {
  private final Console console;

  @Mixin private ServerOptions options;

  @Parameters(paramLabel = "RUN", converter = RunName.Converter.class, description = "Its name.")
  private RunName run;

  ShowCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    return options.talk(
        server -> {
          Run known =
              server.call().getRun(GetRunRequest.newBuilder().setName(run.toString()).build());
          console.out().print(options.json() ? ProtoJson.line(known) + "\n" : text(known));
          return ExitCode.OK;
        });
  }

  private static String text(Run run) {
    Times times = Times.here();
    Table table = new Table(Terminal.width().orElse(Integer.MAX_VALUE));
    row(table, "run", run.getName());
    row(table, "name", run.getDisplayName());
    row(table, "owner", run.getOwner());
    row(table, "state", States.name(run.getState()));
    row(table, "reason", RunText.reason(run));
    row(table, "tries again", run.hasRetryTime() ? times.show(run.getRetryTime()) : "");
    row(table, "priority", String.valueOf(run.getPriority()));
    row(table, "queue", RunText.queue(run));
    row(table, "iteration", RunText.iteration(run));
    row(table, "reward", RunText.reward(run));
    row(table, "reward queries", String.valueOf(run.getRewardQueries()));
    row(table, "KL per trajectory", RunText.kl(run));
    row(table, "taken up", run.getGeneration() == 1 ? "once" : run.getGeneration() + " times");
    row(table, "events", String.valueOf(run.getLastSequence()));
    row(table, "created", run.hasCreateTime() ? times.show(run.getCreateTime()) : "");
    row(table, "started", run.hasStartTime() ? times.show(run.getStartTime()) : "");
    row(table, "ended", run.hasEndTime() ? times.show(run.getEndTime()) : "");
    row(table, "LoRA's SHA-256", run.getExportSha256());
    return table.text();
  }

  /** What there is nothing to tell of is left out. */
  private static void row(Table table, String name, String value) {
    if (!value.isEmpty()) {
      table.add("  " + name, value);
    }
  }
}
