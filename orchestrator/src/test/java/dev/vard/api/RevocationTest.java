package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.vard.run.RunStatus;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Tokens that are taken away while those who hold them watch and download, by both APIs. */
@Timeout(60)
class RevocationTest {
  private static final String ALICES = "alices-token-0123456789";
  private static final String BOBS = "bobs-token-0123456789";
  private static final Instant TIME = Instant.parse("2026-01-01T00:00:00Z");

  @TempDir private Path folder;
  private final InMemoryRuns runs = new InMemoryRuns();
  private LiveApi api;
  private List<Road> roads;

  @BeforeEach
  void start() throws Exception {
    write("alice " + ALICES + "\nbob " + BOBS + "\n");
    api = LiveApi.start(runs, Map.of("tokens", folder.resolve("tokens").toString()));
    roads = List.of(GrpcRoad.to(api.grpcPort()), RestRoad.to(api));
  }

  @AfterEach
  void end() {
    roads.forEach(Road::close);
    api.close();
  }

  /** As careless programs do: the time of the file stays. */
  private void write(String text) throws Exception {
    Path beside = Files.writeString(folder.resolve("tokens.new"), text);
    Files.setPosixFilePermissions(beside, PosixFilePermissions.fromString("rw-------"));
    Files.setLastModifiedTime(beside, FileTime.from(TIME));
    Files.move(beside, folder.resolve("tokens"), StandardCopyOption.REPLACE_EXISTING);
  }

  private static Road.Watch watch(Road road, String run) {
    Road.Watch watch = road.watch(run, 0);
    assertThat(watch.hasNext()).isTrue();
    watch.next();
    return watch;
  }

  private static String run(Road road) {
    return road.create("name: fox", List.of(), 0, "").name().substring("runs/".length());
  }

  private static void refused(Runnable call) {
    Road.Refused refused = catchThrowableOfType(Road.Refused.class, call::run);
    assertThat(refused).isNotNull();
    assertThat(refused.code).isEqualTo("UNAUTHENTICATED");
  }

  @Test
  void shouldEndTheStreamsOfATokenThatWasTakenAway() throws Exception {
    for (Road road : roads) {
      write("alice " + ALICES + "\nbob " + BOBS + "\n");
      LiveApi.eventually(() -> lets(road.as(ALICES)));
      String alices = run(road.as(ALICES));
      String bobs = run(road.as(BOBS));
      runs.file(alices, "large", new byte[32 << 20]);
      try (Road.Watch watch = watch(road.as(ALICES), alices);
          AutoCloseable download =
              road.as(ALICES).downloadAndDoze("runs/" + alices + "/artifacts/large");
          Road.Watch other = watch(road.as(BOBS), bobs)) {
        LiveApi.eventually(() -> api.streams().sending() == 3);

        // As long as before, under the same time.
        write("alice " + ALICES.replace('0', '9') + "\nbob " + BOBS + "\n");

        refused(watch::hasNext);
        LiveApi.eventually(() -> api.streams().sending() == 1);
        refused(() -> road.as(ALICES).get(alices));
        runs.move(bobs, RunStatus.CANCELLED);
        assertThat(other.hasNext()).isTrue();
      }
    }
  }

  @Test
  void shouldApplyWhatIsRightInAFileWithAWrongLine() throws Exception {
    for (Road road : roads) {
      write("alice " + ALICES + "\nbob " + BOBS + "\n");
      LiveApi.eventually(() -> lets(road.as(ALICES)));
      String alices = run(road.as(ALICES));
      try (Road.Watch watch = watch(road.as(ALICES), alices)) {
        write("bob " + BOBS + "\ncarol  forgotten\n");

        refused(watch::hasNext);
      }
      assertThat(lets(road.as(BOBS))).isTrue();
      assertThat(ready()).isEqualTo(200);
    }
  }

  @Test
  void shouldLetNobodyInWithoutItsFile() throws Exception {
    String bobs = run(roads.getFirst().as(BOBS));
    try (Road.Watch grpc = watch(roads.get(0).as(BOBS), bobs);
        Road.Watch rest = watch(roads.get(1).as(BOBS), bobs)) {
      Files.delete(folder.resolve("tokens"));

      refused(grpc::hasNext);
      refused(rest::hasNext);
    }
    for (Road road : roads) {
      refused(() -> road.as(BOBS).get(bobs));
    }
    assertThat(ready()).isEqualTo(503);

    write("bob " + BOBS + "\n");
    for (Road road : roads) {
      assertThat(road.as(BOBS).get(bobs).owner()).isEqualTo("bob");
    }
    assertThat(ready()).isEqualTo(200);
  }

  @Test
  void shouldNotEndStreamsForAFileThatIsReplacedInPlace() throws Exception {
    String bobs = run(roads.getFirst().as(BOBS));
    try (Road.Watch grpc = watch(roads.get(0).as(BOBS), bobs);
        Road.Watch rest = watch(roads.get(1).as(BOBS), bobs)) {
      api.streams().endRevoked();
      Files.delete(folder.resolve("tokens"));
      api.authenticator().look();
      write("bob " + BOBS + "\n");
      api.authenticator().look();
      api.streams().endRevoked();
      runs.move(bobs, RunStatus.CANCELLED);

      assertThat(grpc.hasNext()).isTrue();
      assertThat(rest.hasNext()).isTrue();
    }
  }

  private static boolean lets(Road road) {
    try {
      road.list(1, "", "");
      return true;
    } catch (Road.Refused e) {
      return false;
    }
  }

  private int ready() throws Exception {
    URI uri = api.http("/health/readiness");
    try (HttpClient client = HttpClient.newHttpClient()) {
      return client.send(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString()).statusCode();
    }
  }
}
