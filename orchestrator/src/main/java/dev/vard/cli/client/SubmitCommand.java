package dev.vard.cli.client;

import dev.vard.cli.Console;
import dev.vard.cli.ExitCode;
import dev.vard.proto.v1.CreateRunRequest;
import dev.vard.proto.v1.Run;
import dev.vard.run.Backoff;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecException;
import dev.vard.spec.SpecReader;
import dev.vard.spec.SpecWriter;
import io.grpc.Status.Code;
import io.grpc.StatusException;
import io.micronaut.context.annotation.Prototype;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.random.RandomGenerator;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vard submit}: puts a run into a server's queue. */
@Prototype
@Command(
    name = "submit",
    mixinStandardHelpOptions = true,
    description = "Puts a run into a server's queue, and prints its name.",
    exitCodeListHeading = "Exit codes:%n",
    exitCodeList = {
      "0:the run is in the queue; with --watch, it is done",
      "1:the server refused, or cannot be reached; with --watch, the run failed",
      "2:the specification or the command is wrong",
      "130:with --watch, the run was cancelled"
    })
public final class SubmitCommand implements Callable<Integer> {
  private static final int ATTEMPTS = 4;

  /** Whether the request arrived is not known: the same again does no harm. */
  private static final Set<Code> UNCERTAIN =
      EnumSet.of(Code.UNAVAILABLE, Code.CANCELLED, Code.DEADLINE_EXCEEDED);

  private final Console console;

  @Mixin private ServerOptions options;

  @Parameters(
      paramLabel = "SPEC",
      description =
          "A specification in YAML: docs/specification.md. Its prompts are sent with it;"
              + " model.checkpoint names what the server has.")
  private Path specification;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Sets a key of the specification, as algorithm.iterations=4. Repeatable.")
  private List<String> overrides = new ArrayList<>();

  @Option(
      names = "--priority",
      paramLabel = "N",
      description = "From -100 to 100; larger is sooner. Without it: 0.")
  private int priority;

  @Option(
      names = "--request-id",
      paramLabel = "UUID",
      description =
          "Names this request: the same again gives the run that the first one made. Without it: a"
              + " new one.")
  private UUID requestId = UUID.randomUUID();

  @Option(names = "--watch", description = "Go on as `./vard watch`.")
  private boolean watch;

  SubmitCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    RunSpec spec;
    try {
      spec = SpecReader.toSend().read(specification, overrides);
    } catch (SpecException e) {
      console.err().println(e.getMessage());
      return ExitCode.BAD_USAGE;
    }
    CreateRunRequest request =
        CreateRunRequest.newBuilder()
            .setSpecification(SpecWriter.write(spec))
            .setPriority(priority)
            .setRequestId(requestId.toString())
            .build();
    return options.talk(
        server -> {
          Run run = create(server, request);
          console.out().println(options.json() ? ProtoJson.line(run) : run.getName());
          return watch
              ? new WatchedRun(server, console, options.json()).follow(run, 0)
              : ExitCode.OK;
        });
  }

  private Run create(RunServer server, CreateRunRequest request)
      throws StatusException, InterruptedException {
    Backoff backoff =
        new Backoff(Duration.ofMillis(500), Duration.ofSeconds(5), RandomGenerator.getDefault());
    while (true) {
      try {
        return server.call().createRun(request);
      } catch (StatusException e) {
        if (Refusal.isOurs(e) && e.getStatus().getCode() == Code.INVALID_ARGUMENT) {
          throw new ClientException(Refusal.of(e, specification), e);
        }
        if (!UNCERTAIN.contains(e.getStatus().getCode())) {
          throw e;
        }
        if (backoff.tries() == ATTEMPTS - 1) {
          console
              .err()
              .println(
                  "vard: if the request did arrive, the same command with --request-id "
                      + requestId
                      + " gives its run, and makes no second one");
          throw e;
        }
        Thread.sleep(backoff.next());
        server.reconnect();
      }
    }
  }
}
