package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.proto.v1.ListRunsRequest;
import dev.vard.proto.v1.Run;
import dev.vard.proto.v1.RunEvent;
import dev.vard.proto.v1.RunServiceGrpc;
import dev.vard.proto.v1.WatchRunRequest;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Runs that an earlier program began end under this one, with a real worker. What that program left
 * behind is in {@code fixtures/7332a8f}: each run was ended in its third of five iterations.
 */
@Timeout(300)
class UpgradeTest {
  private static final String FIXTURES = "/fixtures/7332a8f/";
  private static final int ITERATIONS = 5;

  private final ObjectMapper json = new ObjectMapper();

  @TempDir private Path temp;
  private Map<String, String> environment = Map.of();

  @BeforeEach
  void unpackModel() throws IOException {
    Path hub = unpack("hub");
    environment = Map.of("HF_HUB_CACHE", hub.toString(), "HF_HUB_OFFLINE", "1");
  }

  @ParameterizedTest
  @CsvSource({"vard, 4", "ddpo, 8", "sum, 4"})
  void shouldEndARunThatAnEarlierProgramBegan(String name, int samples) throws Exception {
    Path run = unpack(name);
    List<JsonNode> before = events(run);
    assertThat(iterations(before)).containsExactly(1, 2);

    resume(run);

    List<JsonNode> after = events(run);
    assertThat(after.subList(0, before.size())).isEqualTo(before);
    assertThat(iterations(after))
        .containsExactlyElementsOf(IntStream.rangeClosed(1, ITERATIONS).boxed().toList());
    JsonNode recovered = only(after, "recovered");
    assertThat(recovered.get("iteration").asInt()).as("%s", recovered).isEqualTo(2);
    JsonNode finished = only(after, "finished");
    assertThat(after.getLast().path("to").asText()).as("%s", after.getLast()).isEqualTo("DONE");
    assertThat(finished.get("reward_queries").asInt()).isEqualTo(ITERATIONS * samples);
    // Evaluations before training and after iterations 2, 4 and 5: none was asked for anew.
    assertThat(finished.get("evaluation_queries").asInt()).isEqualTo(4 * 4);
    assertThat(run.resolve("export/pytorch_lora_weights.safetensors")).isNotEmptyFile();
    assertThat(run.resolve("report.html")).content().contains(finished.get("run_id").asText());
  }

  /** A server that was killed with one run part-way and one in the queue. */
  @Test
  void shouldEndTheRunsOfAnEarlierServer() throws Exception {
    Path runs = unpack("server");
    try (ServerProcess server =
        new ServerProcess(
            temp, "local", environment, "--runs=" + runs, "--allow-hub", "--instance=new")) {
      RunServiceGrpc.RunServiceBlockingStub api = RunServiceGrpc.newBlockingStub(server.channel());
      List<Run> found = api.listRuns(ListRunsRequest.getDefaultInstance()).getRunsList();
      assertThat(found).hasSize(2);
      for (Run run : found) {
        List<RunEvent> events = new ArrayList<>();
        api.withDeadlineAfter(Duration.ofMinutes(4))
            .watchRun(WatchRunRequest.newBuilder().setName(run.getName()).build())
            .forEachRemaining(events::add);

        assertThat(events)
            .extracting(RunEvent::getSequence)
            .containsExactlyElementsOf(LongStream.rangeClosed(1, events.size()).boxed().toList());
        assertThat(events.getLast().getStateChanged().getTo())
            .as("%s", events.getLast())
            .isEqualTo(Run.State.DONE);
        Path folder = runs.resolve(run.getName().substring("runs/".length()));
        assertThat(iterations(events(folder))).containsExactly(1, 2, 3, 4, 5);
        assertThat(folder.resolve("export/pytorch_lora_weights.safetensors")).isNotEmptyFile();
      }
      String first =
          found.stream().map(Run::getName).filter(name -> name.contains("first")).findFirst().get();
      Path folder = runs.resolve(first.substring("runs/".length()));
      assertThat(only(events(folder), "recovered").get("iteration").asInt()).isEqualTo(2);
    }
  }

  private static JsonNode only(List<JsonNode> events, String kind) {
    List<JsonNode> those =
        events.stream().filter(event -> event.get("event").asText().equals(kind)).toList();
    assertThat(those).hasSize(1);
    return those.getFirst();
  }

  private static List<Integer> iterations(List<JsonNode> events) {
    return events.stream()
        .filter(event -> event.get("event").asText().equals("iteration"))
        .map(event -> event.get("iteration").asInt())
        .toList();
  }

  private List<JsonNode> events(Path run) throws IOException {
    List<JsonNode> events = new ArrayList<>();
    for (String line : Files.readAllLines(run.resolve("metrics.jsonl"))) {
      events.add(json.readTree(line));
    }
    return events;
  }

  /** In a process of its own: where a model of the hub lies, the environment says. */
  private void resume(Path run) throws IOException, InterruptedException {
    Path log = temp.resolve("log");
    ProcessBuilder vard =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName(),
                "run",
                "--resume",
                run.toString())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile());
    vard.environment().putAll(environment);
    int code = vard.start().waitFor();
    assertThat(code).as(Files.readString(log)).isEqualTo(ExitCode.OK);
  }

  private Path unpack(String name) throws IOException {
    Path folder = temp.resolve(name);
    try (InputStream packed =
            Objects.requireNonNull(
                UpgradeTest.class.getResourceAsStream(FIXTURES + name + ".zip"));
        ZipInputStream zip = new ZipInputStream(packed)) {
      for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
        Path file = folder.resolve(entry.getName());
        if (entry.isDirectory()) {
          Files.createDirectories(file);
        } else {
          Files.createDirectories(file.getParent());
          Files.copy(zip, file);
        }
      }
    }
    return folder;
  }
}
