package dev.vard.cli.client;

import dev.vard.cli.Console;
import dev.vard.proto.v1.GetRunRequest;
import dev.vard.proto.v1.Run;
import dev.vard.proto.v1.RunEvent;
import dev.vard.proto.v1.WatchRunRequest;
import dev.vard.run.Backoff;
import io.grpc.Status.Code;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import java.time.Duration;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.random.RandomGenerator;

/**
 * Follows a run's events to its end, over as many connections as that takes: each begins after the
 * last event that was seen, so that none is missed or told twice.
 *
 * <p>For one run.
 */
final class Watching {
  /**
   * Time may mend these, whatever this connection brought. What was cancelled, the server did in
   * its end: nobody does here.
   */
  private static final Set<Code> PASSING =
      EnumSet.of(
          Code.UNAVAILABLE,
          Code.CANCELLED,
          Code.RESOURCE_EXHAUSTED,
          Code.ABORTED,
          Code.DEADLINE_EXCEEDED);

  /** A stream that ends like this after it brought something was cut off on the way, by a proxy. */
  private static final Set<Code> CUT = EnumSet.of(Code.INTERNAL, Code.UNKNOWN);

  private final RunServer server;
  private final Console console;
  private final RunName name;
  private final Backoff backoff =
      new Backoff(Duration.ofMillis(200), Duration.ofSeconds(15), RandomGenerator.getDefault());
  private long seen;
  private Optional<Run.State> end = Optional.empty();

  /**
   * @param after only events with a greater sequence number; 0 for all
   */
  Watching(RunServer server, Console console, RunName name, long after) {
    this.server = server;
    this.console = console;
    this.name = name;
    this.seen = after;
  }

  /**
   * @return the state that the run ended in
   * @throws StatusException if the server refuses. What time may mend is waited for, for as long as
   *     it takes
   */
  Run.State follow(Consumer<RunEvent> show) throws StatusException, InterruptedException {
    while (true) {
      long before = seen;
      try {
        read(show);
        if (end.isPresent()) {
          return end.get();
        }
        // Nothing was left to tell, or a proxy ended the stream as if that were so.
        Run run = server.call().getRun(GetRunRequest.newBuilder().setName(name.toString()).build());
        if (States.ended(run.getState()) && run.getLastSequence() <= seen) {
          return run.getState();
        }
      } catch (StatusException e) {
        Code code = e.getStatus().getCode();
        if (!PASSING.contains(code) && !(CUT.contains(code) && seen > before)) {
          throw e;
        }
        if (seen > before || backoff.tries() == 0) {
          String why = Refusal.reason(e);
          console
              .err()
              .println(
                  "vard: the stream from "
                      + server.address()
                      + " broke off ("
                      + why
                      + "); trying again until it is back");
        }
      }
      if (seen > before) {
        backoff.reset();
      }
      Thread.sleep(backoff.next());
      server.reconnect();
    }
  }

  /** Reads one stream to its end. */
  private void read(Consumer<RunEvent> show) throws StatusException, InterruptedException {
    BlockingClientCall<?, RunEvent> call =
        server.stream()
            .watchRun(
                WatchRunRequest.newBuilder()
                    .setName(name.toString())
                    .setAfterSequence(seen)
                    .build());
    try {
      for (RunEvent event = call.read(); event != null; event = call.read()) {
        seen = event.getSequence();
        end = end(event);
        show.accept(event);
      }
    } catch (InterruptedException | RuntimeException | Error e) {
      call.cancel("nobody reads any more", e);
      throw e;
    }
  }

  /** What the run has come to with this event; empty while it goes on. */
  private static Optional<Run.State> end(RunEvent event) {
    return switch (event.getEventCase()) {
      case FINISHED -> Optional.of(Run.State.DONE);
      case STATE_CHANGED -> Optional.of(event.getStateChanged().getTo()).filter(States::ended);
      case STARTED, EVALUATED, ITERATION, CHECKPOINTED, RECOVERED, WARNED, EVENT_NOT_SET ->
          Optional.empty();
    };
  }
}
