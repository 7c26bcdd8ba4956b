package dev.vard.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.api.ApiProperties;
import dev.vard.api.Authenticator;
import dev.vard.api.GrpcApi;
import dev.vard.api.SettingsException;
import dev.vard.files.PrivateFiles;
import dev.vard.serve.Orchestrator;
import dev.vard.serve.RunsFolder;
import dev.vard.serve.ServeSettings;
import dev.vard.store.Database;
import dev.vard.store.RunStore;
import dev.vard.store.StoreException;
import io.micronaut.context.ApplicationContext;
import io.micronaut.runtime.server.EmbeddedServer;
import jakarta.inject.Inject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code vard serve}: an orchestrator that others ask for runs. */
@Command(
    name = "serve",
    mixinStandardHelpOptions = true,
    description = {
      "Runs what others ask for, by gRPC and REST: docs/operations.md.",
      "Each option is a setting too, as VARD_SERVE_GRPC_PORT=50052; options come first."
    },
    exitCodeListHeading = "Exit codes:%n",
    exitCodeList = {
      "0:it was told to stop (SIGTERM, Ctrl-C), and every run is back in the queue",
      "1:it could not start or go on",
      "2:the settings or the command are wrong",
      "130:it was told to stop at once"
    })
final class ServeCommand implements Callable<Integer> {
  private static final Duration READY_CHECK = Duration.ofSeconds(2);

  /** A worker ends its step, and writes a checkpoint: container runtimes kill after 30 s. */
  private static final Duration DRAIN = Duration.ofSeconds(25);

  private final MachineSettings machine;
  private final Console console;

  @Option(names = "--host", paramLabel = "ADDRESS", description = "Listen here: 127.0.0.1.")
  private Optional<String> host = Optional.empty();

  @Option(
      names = "--grpc-port",
      paramLabel = "PORT",
      converter = WholeNumbers.Port.class,
      description = "50051; 0 for any free one.")
  private Optional<Integer> grpcPort = Optional.empty();

  @Option(
      names = "--http-port",
      paramLabel = "PORT",
      converter = WholeNumbers.Port.class,
      description = "8080; 0 for any free one.")
  private Optional<Integer> httpPort = Optional.empty();

  @Option(
      names = "--worker",
      paramLabel = "WORKER",
      description =
          "local, embedded or host:port; repeatable: each has one run at a time. Without it: one"
              + " local worker.")
  private List<String> workers = List.of();

  @Option(
      names = "--database",
      paramLabel = "URL",
      description =
          "jdbc:postgresql://host/database, with VARD_DATABASE_USER and VARD_DATABASE_PASSWORD."
              + " Without it: a file in the runs' folder.")
  private Optional<String> database = Optional.empty();

  @Option(names = "--runs", paramLabel = "DIR", description = "The runs' folder: runs.")
  private Optional<Path> runs = Optional.empty();

  @Option(
      names = "--instance",
      paramLabel = "NAME",
      description = "Names this server among those that share a database: host and port.")
  private Optional<String> instance = Optional.empty();

  @Option(
      names = "--tokens",
      paramLabel = "FILE",
      description = "Who is let in: a line 'OWNER TOKEN' or 'OWNER TOKEN admin' for each.")
  private Optional<Path> tokens = Optional.empty();

  @Option(names = "--tls-cert", paramLabel = "FILE", description = "Certificate chain, PEM.")
  private Optional<Path> certificate = Optional.empty();

  @Option(names = "--tls-key", paramLabel = "FILE", description = "Its private key, PEM.")
  private Optional<Path> key = Optional.empty();

  @Option(
      names = "--client-ca",
      paramLabel = "FILE",
      description = "Lets in clients with a certificate of these authorities, PEM.")
  private Optional<Path> clientAuthority = Optional.empty();

  @Option(
      names = "--behind-tls-proxy",
      description = "A proxy in front ends TLS: tokens may come in plain text.")
  private boolean behindTlsProxy;

  @Option(
      names = "--model-root",
      paramLabel = "DIR",
      description =
          "Specifications may name models in here; repeatable. Without it: checkpoints, in vard's"
              + " folder.")
  private List<Path> modelRoots = List.of();

  @Option(
      names = "--allow-reward",
      paramLabel = "ADDRESS",
      description =
          "Specifications may ask it for scores: java:CLASS, python:MODULE:NAME, grpc:HOST:PORT or"
              + " a URL; repeatable.")
  private List<String> rewards = List.of();

  @Option(names = "--allow-hub", description = "Specifications may name models on the hub.")
  private boolean allowHub;

  @Option(
      names = "--max-queries",
      paramLabel = "N",
      converter = WholeNumbers.Limit.class,
      description = "Images that one run may have scored: 1000000.")
  private Optional<Long> maxQueries = Optional.empty();

  @Option(
      names = "--max-passes",
      paramLabel = "N",
      converter = WholeNumbers.Limit.class,
      description =
          "Passes of an image through a network that one run may take, images times denoising steps"
              + " and gradient steps times batch: 100000000.")
  private Optional<Long> maxPasses = Optional.empty();

  @Option(
      names = "--new-database",
      description = "Starts though the database has no runs and their folder has some.")
  private boolean newDatabase;

  @Option(
      names = "--ready-file",
      paramLabel = "FILE",
      description = "Gets both ports, in JSON, once they are open.")
  private Optional<Path> readyFile = Optional.empty();

  @Inject
  ServeCommand(MachineSettings machine, Console console) {
    this.machine = machine;
    this.console = console;
  }

  @Override
  public Integer call() {
    CountDownLatch told = new CountDownLatch(1);
    try (Cancellation cancellation =
            Cancellation.of(console, "stopping once each run has a checkpoint", told::countDown);
        ApplicationContext context = context()) {
      return serve(context, told);
    } catch (SettingsException | IllegalArgumentException e) {
      return failed(String.valueOf(e.getMessage()), ExitCode.BAD_USAGE);
    } catch (StoreException e) {
      return failed(e.getMessage(), ExitCode.FAILED);
    } catch (IOException e) {
      return failed("the ready file cannot be written: " + e, ExitCode.FAILED);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return ExitCode.CANCELLED;
    }
  }

  private int failed(String why, int code) {
    console.err().println("vard: " + why);
    return code;
  }

  /** Everything but the listening: what cannot work fails here. */
  private ApplicationContext context() {
    Map<String, Object> properties = options();
    RunsFolder runsFolder = new RunsFolder(folder());
    runsFolder.checkWritable();
    ServeSettings settings;
    try (ApplicationContext small =
        ApplicationContext.builder().banner(false).properties(properties).start()) {
      settings = small.getBean(ServeSettings.class);
    }
    properties.putAll(ApiProperties.of(settings));
    makeFolder();
    properties.putAll(database().properties());
    // Readiness is looked at when it is asked for, and by the loop below: not by a third party.
    properties.put("micronaut.health.monitor.enabled", false);
    ApplicationContext context =
        ApplicationContext.builder().banner(false).properties(properties).build();
    try {
      context.start();
      if (!newDatabase) {
        runsFolder.checkKnown(context.getBean(RunStore.class));
      }
      context.getBean(Orchestrator.class);
      return context;
    } catch (RuntimeException e) {
      context.close();
      throw reason(e);
    }
  }

  private Map<String, Object> options() {
    Map<String, Object> properties = new HashMap<>();
    host.ifPresent(value -> properties.put("vard.serve.host", value));
    grpcPort.ifPresent(value -> properties.put("vard.serve.grpc-port", value));
    httpPort.ifPresent(value -> properties.put("vard.serve.http-port", value));
    instance.ifPresent(value -> properties.put("vard.serve.instance", value));
    tokens.ifPresent(value -> properties.put("vard.serve.tokens", value.toString()));
    certificate.ifPresent(value -> properties.put("vard.serve.certificate", value.toString()));
    key.ifPresent(value -> properties.put("vard.serve.key", value.toString()));
    clientAuthority.ifPresent(
        value -> properties.put("vard.serve.client-authority", value.toString()));
    maxQueries.ifPresent(value -> properties.put("vard.serve.max-queries", value));
    maxPasses.ifPresent(value -> properties.put("vard.serve.max-passes", value));
    if (!workers.isEmpty()) {
      properties.put("vard.serve.workers", workers);
    }
    if (!modelRoots.isEmpty()) {
      properties.put("vard.serve.model-roots", modelRoots.stream().map(Path::toString).toList());
    }
    if (!rewards.isEmpty()) {
      properties.put("vard.serve.rewards", rewards);
    }
    if (allowHub) {
      properties.put("vard.serve.allow-hub", true);
    }
    if (behindTlsProxy) {
      properties.put("vard.serve.behind-tls-proxy", true);
    }
    properties.put("vard.runs", folder().toString());
    // Where the runs are, and not where the program was started from.
    properties.put("endpoints.health.disk-space.path", folder().toAbsolutePath().toString());
    return properties;
  }

  private Path folder() {
    return runs.orElseGet(() -> Path.of(machine.runs()));
  }

  /** Before the database makes it, as the umask says. */
  private void makeFolder() {
    try {
      PrivateFiles.createFolders(folder().resolve(".vard"));
    } catch (IOException e) {
      throw new StoreException(
          StoreException.Kind.UNUSABLE,
          "the runs' folder %s cannot be written (%s): make it so, or name another by --runs"
              .formatted(folder(), e),
          e);
    }
  }

  private Database database() {
    Map<String, String> environment = new HashMap<>(System.getenv());
    database.ifPresent(url -> environment.put("VARD_DATABASE", url));
    return Database.configured(environment, folder().resolve(".vard/database"));
  }

  /** What is behind an error that Micronaut wraps: the one whose message tells what to do. */
  private static RuntimeException reason(RuntimeException e) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof SettingsException || cause instanceof IllegalArgumentException) {
        return (RuntimeException) cause;
      }
    }
    return Database.failure(e).map(RuntimeException.class::cast).orElse(e);
  }

  private int serve(ApplicationContext context, CountDownLatch told)
      throws IOException, InterruptedException {
    Orchestrator orchestrator = context.getBean(Orchestrator.class);
    GrpcApi grpc = context.getBean(GrpcApi.class);
    Authenticator authenticator = context.getBean(Authenticator.class);
    EmbeddedServer http = context.getBean(EmbeddedServer.class);
    orchestrator.start();
    int grpcBound = grpc.start();
    http.start();
    console.out().println("vard: gRPC at " + http.getHost() + ":" + grpcBound);
    console.out().println("vard: HTTP at " + http.getURI());
    writeReadyFile(grpcBound, http.getPort());
    while (!told.await(READY_CHECK.toMillis(), TimeUnit.MILLISECONDS)) {
      grpc.ready(orchestrator.problems().isEmpty() && authenticator.trouble().isEmpty());
    }
    grpc.ready(false);
    boolean drained = orchestrator.drain(DRAIN);
    if (!drained) {
      console
          .err()
          .println(
              "vard: not every run wrote a checkpoint in time; the next start goes on from the"
                  + " last ones");
    }
    return ExitCode.OK;
  }

  /** Whole or not at all: somebody waits for it. */
  private void writeReadyFile(int grpc, int http) throws IOException {
    if (readyFile.isPresent()) {
      Path file = readyFile.get().toAbsolutePath();
      Path beside = file.resolveSibling("." + file.getFileName() + ".part");
      Files.writeString(
          beside,
          new ObjectMapper()
              .createObjectNode()
              .put("grpc_port", grpc)
              .put("http_port", http)
              .put("pid", ProcessHandle.current().pid())
              .toString());
      Files.move(beside, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }
  }
}
