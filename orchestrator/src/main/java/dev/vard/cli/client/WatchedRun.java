package dev.vard.cli.client;

import dev.vard.cli.Console;
import dev.vard.proto.v1.Run;
import io.grpc.StatusException;

/**
 * Prints a run's events as they come, to its end.
 *
 * @param json whether an event is a line of JSON
 */
record WatchedRun(RunServer server, Console console, boolean json) {

  /**
   * @param after only events with a greater sequence number; 0 for all
   * @return the exit code
   */
  int follow(Run run, long after) throws StatusException, InterruptedException {
    EventLines lines = new EventLines(run, Times.here());
    Watching watching = new Watching(server, console, RunName.of(run.getName()), after);
    return States.exitCode(
        watching.follow(
            event -> console.out().println(json ? ProtoJson.line(event) : lines.line(event))));
  }
}
