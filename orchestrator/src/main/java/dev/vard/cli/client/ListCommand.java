package dev.vard.cli.client;

import dev.vard.cli.Console;
import dev.vard.cli.ExitCode;
import dev.vard.cli.Terminal;
import dev.vard.proto.v1.ListRunsRequest;
import dev.vard.proto.v1.ListRunsResponse;
import dev.vard.proto.v1.Run;
import io.grpc.StatusException;
import io.micronaut.context.annotation.Prototype;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code vard list}: the runs of a server, the newest first. */
@Prototype
@Command(
    name = "list",
    mixinStandardHelpOptions = true,
    description = "Lists a server's runs, the newest first.")
public final class ListCommand implements Callable<Integer> {
  private final Console console;

  @Mixin private ServerOptions options;

  @Option(
      names = "--filter",
      paramLabel = "FILTER",
      description =
          "As 'state = RUNNING AND display_name = \"emoji*\"'. Fields: state, owner, display_name,"
              + " priority, create_time; operators: = != < <= > >=.")
  private String filter = "";

  @Option(names = "--all", description = "List every one. Without it: the newest 50.")
  private boolean all;

  ListCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    return options.talk(
        server -> {
          ListRunsResponse runs = runs(server);
          if (options.json()) {
            console.out().println(ProtoJson.line(runs));
          } else {
            show(runs);
          }
          return ExitCode.OK;
        });
  }

  private ListRunsResponse runs(RunServer server) throws StatusException {
    ListRunsResponse.Builder runs = ListRunsResponse.newBuilder();
    do {
      ListRunsResponse page =
          server
              .call()
              .listRuns(
                  ListRunsRequest.newBuilder()
                      .setFilter(filter)
                      .setPageToken(runs.getNextPageToken())
                      .build());
      runs.addAllRuns(page.getRunsList()).setNextPageToken(page.getNextPageToken());
    } while (all && !runs.getNextPageToken().isEmpty());
    return runs.build();
  }

  private void show(ListRunsResponse runs) {
    if (runs.getRunsCount() == 0) {
      console.err().println(filter.isEmpty() ? "no runs" : "no runs like this");
      return;
    }
    Times times = Times.here();
    Table table = new Table(Terminal.width().orElse(Integer.MAX_VALUE));
    table.add(
        "RUN", "STATE", "PRIORITY", "QUEUE", "OWNER", "ITERATION", "REWARD", "CREATED", "REASON");
    for (Run run : runs.getRunsList()) {
      table.add(
          RunName.of(run.getName()).id(),
          States.name(run.getState()),
          String.valueOf(run.getPriority()),
          RunText.queue(run),
          run.getOwner(),
          RunText.iteration(run),
          RunText.reward(run),
          times.show(run.getCreateTime()),
          RunText.reason(run));
    }
    console.out().print(table.text());
    if (!runs.getNextPageToken().isEmpty()) {
      console.err().println("there are more: --all lists every one, --filter some");
    }
  }
}
