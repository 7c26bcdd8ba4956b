package dev.vard.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.proto.v1.CreateRunRequest;
import dev.vard.proto.v1.GetRunRequest;
import dev.vard.proto.v1.Run;
import dev.vard.proto.v1.RunEvent;
import dev.vard.proto.v1.RunServiceGrpc;
import dev.vard.proto.v1.WatchRunRequest;
import dev.vard.run.FakeWorker;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Servers in processes of their own, which are ended and killed. */
@Timeout(180)
class ServeCommandTest {
  private static final String SPEC =
      """
      name: test
      model: {checkpoint: tiny}
      prompts: {list: [a cat, a dog]}
      reward: {kind: jpeg-compressibility}
      algorithm:
        kind: vard
        iterations: 3
        samples: 4
        value: {warmup: 1, replay: 2}
        policy: {steps: 2}
        kl: {budget: 10}
      evaluate: {every: 2, images: 5}
      """;

  @TempDir private Path folder;
  private FakeWorker worker;
  private final List<Server> servers = new ArrayList<>();

  @BeforeEach
  void startWorker() throws IOException {
    worker = new FakeWorker();
    Files.createDirectories(folder.resolve("models/tiny"));
  }

  @AfterEach
  void endAll() throws InterruptedException {
    for (Server server : servers) {
      server.kill();
    }
    worker.close();
  }

  /** A {@code vard serve} that serves. */
  private final class Server {
    private final ServerProcess process;
    final RunServiceGrpc.RunServiceBlockingStub runs;

    Server(String... options) throws IOException, InterruptedException {
      process = new ServerProcess(folder, worker.address(), Map.of(), options);
      runs = RunServiceGrpc.newBlockingStub(process.channel());
      servers.add(this);
    }

    Run create() {
      return runs.createRun(CreateRunRequest.newBuilder().setSpecification(SPEC).build());
    }

    Run get(String name) {
      return runs.getRun(GetRunRequest.newBuilder().setName(name).build());
    }

    /** All events of a run, up to its end. */
    List<RunEvent> watch(String name) {
      List<RunEvent> events = new ArrayList<>();
      runs.withDeadlineAfter(Duration.ofMinutes(1))
          .watchRun(WatchRunRequest.newBuilder().setName(name).build())
          .forEachRemaining(events::add);
      return events;
    }

    HttpResponse<String> http(String path) throws IOException, InterruptedException {
      try (HttpClient client = HttpClient.newHttpClient()) {
        return client.send(
            HttpRequest.newBuilder(process.http(path)).build(),
            HttpResponse.BodyHandlers.ofString());
      }
    }

    /** The exit code. */
    int terminate() throws InterruptedException {
      return process.terminate();
    }

    void kill() throws InterruptedException {
      process.close();
    }
  }

  @Test
  void shouldGoOnByItselfAfterAKill() throws Exception {
    Server first = new Server();
    worker.stickInSampling();
    Run run = first.create();
    worker.awaitStuck();
    first.kill();
    worker.stickNoMore();

    Server second = new Server();
    List<RunEvent> events = second.watch(run.getName());

    assertThat(events)
        .extracting(RunEvent::getSequence)
        .containsExactlyElementsOf(LongStream.rangeClosed(1, events.size()).boxed().toList());
    assertThat(events.getLast().getStateChanged().getTo()).isEqualTo(Run.State.DONE);
    assertThat(second.get(run.getName()).getGeneration()).isEqualTo(2);
  }

  @Test
  void shouldDrainWhenToldToStop() throws Exception {
    Server first = new Server();
    worker.stickInSampling();
    Run run = first.create();
    worker.awaitStuck();
    int code = first.terminate();
    worker.stickNoMore();

    List<RunEvent> events = new Server().watch(run.getName());

    assertThat(code).isEqualTo(ExitCode.OK);
    assertThat(events)
        .filteredOn(RunEvent::hasStateChanged)
        .extracting(event -> event.getStateChanged().getTo())
        .containsExactly(
            Run.State.WAITING,
            Run.State.RUNNING,
            Run.State.WAITING,
            Run.State.RUNNING,
            Run.State.DONE);
  }

  @Test
  void shouldTellTheTruthOfItsHealth() throws Exception {
    Server server = new Server();

    int alive = server.http("/health/liveness").statusCode();
    int ready = server.http("/health/readiness").statusCode();
    worker.close();

    assertThat(alive).isEqualTo(200);
    assertThat(ready).isEqualTo(200);
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (server.http("/health/readiness").statusCode() == 200 && System.nanoTime() < end) {
      Thread.sleep(100);
    }
    assertThat(server.http("/health/readiness").statusCode()).isEqualTo(503);
    assertThat(server.http("/health/liveness").statusCode()).isEqualTo(200);
  }

  @Test
  void shouldTellOfTheDiskWhereItsRunsAre() throws Exception {
    Path elsewhere = Path.of("/dev/shm");
    assumeThat(elsewhere).isDirectory();
    Path runs = Files.createTempDirectory(elsewhere, "vard-test-");
    try {
      Server server = new Server("--runs=" + runs);

      JsonNode disk =
          new ObjectMapper().readTree(server.http("/health").body()).at("/details/diskSpace");

      assertThat(disk.at("/details/total").longValue())
          .isEqualTo(Files.getFileStore(runs).getTotalSpace())
          .isNotEqualTo(Files.getFileStore(Path.of("/")).getTotalSpace());
      server.terminate();
    } finally {
      try (Stream<Path> files = Files.walk(runs)) {
        for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.deleteIfExists(file);
        }
      }
    }
  }

  /** What the command says on standard error; its exit code comes first. */
  private String refusal(String... arguments) {
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    List<String> all = new ArrayList<>(List.of("serve", "--runs=" + folder.resolve("runs")));
    all.addAll(List.of(arguments));
    int code =
        Main.execute(
            new Console(
                new PrintStream(new ByteArrayOutputStream(), true, UTF_8),
                new PrintStream(err, true, UTF_8)),
            all.toArray(String[]::new));
    return code + " " + err.toString(UTF_8);
  }

  @Test
  void shouldRefuseToListenBeyondThisMachineWithoutKnowingWhom() {
    assertThat(refusal("--host=0.0.0.0")).startsWith("2 vard: host '0.0.0.0' is reached");
  }

  @Test
  void shouldSayWhatIsWrongWithTheSettings() {
    assertThat(refusal("--worker=nonsense"))
        .startsWith("2 vard: 'nonsense' is no worker: write local, embedded, or host:port");
    assertThat(refusal("--worker=embedded", "--worker=embedded"))
        .startsWith("2 vard: the pool has embedded twice");
    assertThat(refusal("--model-root=" + folder.resolve("missing")))
        .startsWith("2 vard: model root ")
        .contains("is no folder");
    assertThat(refusal("--database=jdbc:mysql://x/y")).startsWith("2 vard: the database's URL");
  }

  @ParameterizedTest
  @ValueSource(strings = {"0", "-1", "1e6", "", "9999999999999999999"})
  void shouldSayWhichLimitToGive(String limit) {
    for (String option : List.of("--max-queries", "--max-passes")) {
      assertThat(refusal(option + "=" + limit))
          .startsWith(
              "2 vard: Invalid value for option '%s': '%s': give a whole number of at least 1"
                  .formatted(option, limit));
    }
    assertThat(refusal("--grpc-port=" + (limit.equals("0") ? "65536" : limit)))
        .contains("give a port from 0 to 65535");
  }

  @Test
  void shouldSayThatTheRunsFolderCannotBeWritten() {
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    PrintStream told = new PrintStream(err, true, UTF_8);

    // Nobody can write there, root neither.
    int code = Main.execute(new Console(told, told), "serve", "--runs=/proc/vard");

    assertThat(code).isEqualTo(ExitCode.FAILED);
    assertThat(err.toString(UTF_8))
        .startsWith("vard: STORAGE: the runs' folder /proc/vard cannot be written (")
        .contains("or name another with --runs");
  }

  @Test
  void shouldNotTakeADatabaseThatLostItsRunsForANewOne() throws Exception {
    Path run = Files.createDirectories(folder.resolve("runs/old-run"));
    Files.writeString(run.resolve("spec.resolved.yaml"), SPEC);

    assertThat(refusal("--worker=nonsense"))
        .startsWith("1 vard: the database has no runs, but ")
        .contains("holds 1 that a server made, old-run among them")
        .contains("back-up")
        .contains("--new-database");
    assertThat(refusal("--worker=nonsense", "--new-database")).contains("is no worker");

    // One of `vard run`, which has its own database.
    Files.createFile(run.resolve("run.mv.db"));
    assertThat(refusal("--worker=nonsense")).contains("is no worker");
  }

  @Test
  void shouldSayThatAnotherProcessHasTheDatabase() throws Exception {
    new Server();

    assertThat(refusal("--model-root=" + folder.resolve("models")))
        .startsWith("1 vard: another process has the database open");
  }
}
