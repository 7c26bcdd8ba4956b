package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.vard.run.RunEvent;
import dev.vard.run.RunStatus;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Random;
import java.util.UUID;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** What both APIs owe their callers. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class ApiContract {
  static final String ALICES = "alices-token-0123456789";
  private static final String BOBS = "bobs-token-0123456789";
  private static final String ROOTS = "roots-token-0123456789";
  private static final int STREAMS = 4;
  private static final int STREAMS_PER_OWNER = 3;

  private final InMemoryRuns runs = new InMemoryRuns();
  private LiveApi api;
  private Road nobody;
  private Road alice;
  private Road bob;
  private Road root;

  abstract Road open(LiveApi api);

  @BeforeAll
  void start(@TempDir Path folder) throws Exception {
    Path tokens =
        Files.writeString(
            folder.resolve("tokens"),
            "alice %s\nbob %s\nroot %s admin\n".formatted(ALICES, BOBS, ROOTS));
    Files.setPosixFilePermissions(tokens, PosixFilePermissions.fromString("rw-------"));
    api =
        LiveApi.start(
            runs,
            Map.of(
                "tokens",
                tokens.toString(),
                "max-streams",
                STREAMS,
                "max-streams-per-owner",
                STREAMS_PER_OWNER,
                "slow-reader-seconds",
                1));
    nobody = open(api);
    alice = nobody.as(ALICES);
    bob = nobody.as(BOBS);
    root = nobody.as(ROOTS);
  }

  @AfterAll
  void end() {
    nobody.close();
    api.close();
  }

  // ------------------------------------------------------------------------------------- runs

  @Test
  void shouldGiveTheRunThatItMade() {
    Road.Run made = alice.create("name: fox\n", List.of("seed=3"), -5, "");

    assertThat(made.owner()).isEqualTo("alice");
    assertThat(made.state()).isEqualTo("WAITING");
    assertThat(made.priority()).isEqualTo(-5);
    assertThat(made.specification()).isEqualTo("name: fox\n");
    assertThat(alice.get(id(made))).isEqualTo(made);
  }

  @Test
  void shouldMakeOneRunOfTheSameRequest() {
    String request = UUID.randomUUID().toString();

    Road.Run first = alice.create("name: fox", List.of(), 0, request);
    Road.Run second = alice.create("name: fox", List.of(), 0, request);

    assertThat(second.name()).isEqualTo(first.name());
  }

  @Test
  void shouldRefuseAnotherRequestWithTheSameId() {
    String request = UUID.randomUUID().toString();
    alice.create("name: fox", List.of(), 0, request);

    refuses("ALREADY_EXISTS", "request_id", () -> alice.create("name: cat", List.of(), 0, request));
  }

  @Test
  void shouldSayWhichFieldIsToBlame() {
    refuses("INVALID_ARGUMENT", "specification", () -> alice.create(" ", List.of(), 0, ""));
    refuses("INVALID_ARGUMENT", "priority", () -> alice.create("name: fox", List.of(), 101, ""));
    refuses("INVALID_ARGUMENT", "page_size", () -> alice.list(-1, "", ""));
    refuses("INVALID_ARGUMENT", "page_size", () -> alice.list(1001, "", ""));
    refuses("INVALID_ARGUMENT", "page_token", () -> alice.list(1, "never given", ""));
    refuses("INVALID_ARGUMENT", "filter", () -> alice.list(1, "", "shoe size > 40"));
    refuses("INVALID_ARGUMENT", "filter", () -> alice.list(1, "", "a\0b"));
  }

  @Test
  void shouldNotKnowARunThatIsNotThere() {
    refusesAll("NOT_FOUND", alice, "nowhere");
  }

  @Test
  void shouldNotKnowARunOfSomebodyElse() {
    refusesAll("NOT_FOUND", bob, make(alice));
  }

  @Test
  void shouldShowAnAdminEverybodysRuns() {
    String run = make(alice);

    assertThat(root.get(run).owner()).isEqualTo("alice");
    assertThat(names(root.list(1000, "", ""))).contains("runs/" + run);
  }

  @Test
  void shouldListAnOwnersRunsAlone() {
    String alices = make(alice);
    String bobs = make(bob);

    assertThat(names(bob.list(1000, "", "")))
        .contains("runs/" + bobs)
        .doesNotContain("runs/" + alices);
  }

  @Test
  void shouldListPageByPage() {
    make(alice);
    make(alice);
    make(alice);
    List<String> all = names(alice.list(1000, "", ""));

    List<String> paged = new ArrayList<>();
    String token = "";
    do {
      Road.Page<Road.Run> page = alice.list(2, token, "");
      paged.addAll(names(page));
      token = page.next();
    } while (!token.isEmpty());

    assertThat(paged).isEqualTo(all);
  }

  @Test
  void shouldListWhatTheFilterLets() {
    String cancelled = make(alice);
    String waiting = make(alice);
    alice.cancel(cancelled);

    assertThat(names(alice.list(1000, "", "state = CANCELLED")))
        .contains("runs/" + cancelled)
        .doesNotContain("runs/" + waiting);
  }

  @Test
  void shouldCancelAndResume() {
    String run = make(alice);

    assertThat(alice.cancel(run).state()).isEqualTo("CANCELLED");
    assertThat(alice.resume(run).state()).isEqualTo("WAITING");
  }

  @Test
  void shouldRefuseAMoveThatIsNotLegal() {
    String run = make(alice);
    runs.move(run, RunStatus.RUNNING);
    runs.move(run, RunStatus.DONE);

    refuses("FAILED_PRECONDITION", "", () -> alice.resume(run));
  }

  @Test
  void shouldForgetADeletedRun() {
    String run = make(alice);

    alice.delete(run);

    refuses("NOT_FOUND", "name", () -> alice.get(run));
  }

  // ------------------------------------------------------------------------------------- who asks

  @Test
  void shouldRefuseWhoDoesNotSayWhoAsks() {
    refusesAll("UNAUTHENTICATED", nobody, "any");
  }

  @Test
  void shouldRefuseATokenThatItDoesNotKnow() {
    refusesAll("UNAUTHENTICATED", nobody.as("nobodys-token-0123456789"), "any");
  }

  // ------------------------------------------------------------------------------------- events

  @Test
  void shouldStreamEventsUntilTheRunEnds() {
    String run = make(alice);
    tell(run, 3);
    runs.move(run, RunStatus.RUNNING);
    runs.move(run, RunStatus.DONE);

    try (Road.Watch watch = alice.watch(run, 0)) {
      assertThat(rest(watch))
          .containsExactly(
              new Road.Event(1, "state_changed"),
              new Road.Event(2, "checkpointed"),
              new Road.Event(3, "checkpointed"),
              new Road.Event(4, "checkpointed"),
              new Road.Event(5, "state_changed"),
              new Road.Event(6, "state_changed"));
    }
  }

  @Test
  void shouldStreamEventsFromAnyOneOn() {
    String run = make(alice);
    tell(run, 5);
    alice.cancel(run);

    try (Road.Watch watch = alice.watch(run, 4)) {
      assertThat(rest(watch)).extracting(Road.Event::sequence).containsExactly(5L, 6L, 7L);
    }
  }

  @Test
  void shouldStreamNothingOfAnEndedRunThatWasAllSeen() {
    String run = make(alice);
    alice.cancel(run);

    try (Road.Watch watch = alice.watch(run, 2)) {
      assertThat(rest(watch)).isEmpty();
    }
  }

  @Test
  void shouldStreamEventsAsTheyHappen() {
    String run = make(alice);

    try (Road.Watch watch = alice.watch(run, 1)) {
      tell(run, 1);
      assertThat(next(watch).sequence()).isEqualTo(2);
      tell(run, 1);
      assertThat(next(watch).sequence()).isEqualTo(3);
    }
  }

  @Test
  void shouldGiveEveryEventOnceToAWatcherThatComesBack() {
    String run = make(alice);
    List<Long> seen = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      tell(run, 7);
      try (Road.Watch watch = alice.watch(run, seen.isEmpty() ? 0 : seen.getLast())) {
        for (int j = 0; j < 5; j++) {
          seen.add(next(watch).sequence());
        }
      }
    }

    assertThat(seen).hasSize(25).isSorted().doesNotHaveDuplicates().endsWith(25L);
  }

  @Test
  void shouldLetGoOfAWatcherThatLeaves() {
    String run = make(alice);
    Road.Watch watch = alice.watch(run, 0);
    next(watch);

    watch.close();

    LiveApi.eventually(() -> runs.watchers() == 0 && api.streams().open() == 0);
  }

  @Test
  void shouldLimitTheStreamsOfAnOwner() {
    LiveApi.eventually(() -> api.streams().open() == 0);
    String run = make(alice);
    List<Road.Watch> watches = watchAs(alice, run, STREAMS_PER_OWNER);

    refuses("RESOURCE_EXHAUSTED", "", () -> next(alice.watch(run, 0)));

    watches.forEach(Road.Watch::close);
    LiveApi.eventually(() -> api.streams().open() == 0);
  }

  @Test
  void shouldLimitTheStreamsOfAllTogether() {
    LiveApi.eventually(() -> api.streams().open() == 0);
    String run = make(alice);
    List<Road.Watch> watches = watchAs(alice, run, STREAMS_PER_OWNER);
    watches.addAll(watchAs(root, run, STREAMS - STREAMS_PER_OWNER));

    refuses("RESOURCE_EXHAUSTED", "", () -> next(root.watch(run, 0)));

    watches.forEach(Road.Watch::close);
    LiveApi.eventually(() -> api.streams().open() == 0);
  }

  // ------------------------------------------------------------------------------------- files

  @Test
  void shouldListSamples() {
    String run = make(alice);
    runs.file(run, "samples/0000/0000.png", new byte[1]);
    runs.file(run, "samples/0004/0001.png", new byte[1]);

    assertThat(alice.samples(run, OptionalInt.empty()).items())
        .extracting(Road.Sample::artifact)
        .containsExactly(
            "runs/" + run + "/artifacts/samples/0000/0000.png",
            "runs/" + run + "/artifacts/samples/0004/0001.png");
    assertThat(alice.samples(run, OptionalInt.of(4)).items())
        .containsExactly(
            new Road.Sample("runs/" + run + "/artifacts/samples/0004/0001.png", 4, 1, 8, -1.5));
    assertThat(alice.samples(run, OptionalInt.of(0)).items()).hasSize(1);
  }

  @Test
  void shouldListArtifacts() {
    String run = make(alice);
    runs.file(run, "a.png", new byte[7]);
    runs.file(run, "b.bin", new byte[9]);

    Road.Page<Road.Artifact> page = alice.artifacts(run, 1, "");

    assertThat(page.items())
        .containsExactly(new Road.Artifact("runs/" + run + "/artifacts/a.png", 7, "image/png"));
    assertThat(alice.artifacts(run, 1, page.next()).items())
        .extracting(Road.Artifact::name)
        .containsExactly("runs/" + run + "/artifacts/b.bin");
  }

  @Test
  void shouldDownloadAFile() {
    String run = make(alice);
    byte[] bytes = new byte[3_000_001];
    new Random(1).nextBytes(bytes);
    runs.file(run, "export/weights.safetensors", bytes);

    assertThat(alice.download("runs/" + run + "/artifacts/export/weights.safetensors"))
        .isEqualTo(bytes);
  }

  @Test
  void shouldDownloadAnEmptyFileWithAnyName() {
    String run = make(alice);
    runs.file(run, "a b/ü?%2e.txt", new byte[0]);

    assertThat(alice.download("runs/" + run + "/artifacts/a b/ü?%2e.txt")).isEmpty();
  }

  @Test
  void shouldDropAReaderThatReadsNothing() throws Exception {
    LiveApi.eventually(() -> api.streams().open() == 0);
    String run = make(alice);
    runs.file(run, "large", new byte[32 << 20]);

    try (AutoCloseable download = alice.downloadAndDoze("runs/" + run + "/artifacts/large")) {
      LiveApi.eventually(() -> api.streams().sending() == 1);
      LiveApi.eventually(() -> api.streams().sending() == 0);
    }

    LiveApi.eventually(() -> api.streams().open() == 0);
    runs.file(run, "large", "gone".getBytes(StandardCharsets.UTF_8));
  }

  // ------------------------------------------------------------------------------------- helpers

  private String make(Road road) {
    return id(road.create("name: fox", List.of(), 0, ""));
  }

  private static String id(Road.Run run) {
    return run.name().substring("runs/".length());
  }

  private void tell(String run, int events) {
    for (int i = 0; i < events; i++) {
      runs.tell(run, new RunEvent.Checkpointed(i, 1000, 0.5));
    }
  }

  private static Road.Event next(Road.Watch watch) {
    assertThat(watch.hasNext()).isTrue();
    return watch.next();
  }

  private static List<Road.Event> rest(Road.Watch watch) {
    List<Road.Event> events = new ArrayList<>();
    watch.forEachRemaining(events::add);
    return events;
  }

  private static List<Road.Watch> watchAs(Road road, String run, int count) {
    List<Road.Watch> watches = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      Road.Watch watch = road.watch(run, 0);
      next(watch);
      watches.add(watch);
    }
    return watches;
  }

  private static List<String> names(Road.Page<Road.Run> page) {
    return page.items().stream().map(Road.Run::name).toList();
  }

  private static void refuses(String code, String field, ThrowingCallable call) {
    Road.Refused refused = catchThrowableOfType(Road.Refused.class, call);
    assertThat(refused).isNotNull();
    assertThat(refused.code).isEqualTo(code);
    assertThat(refused.field).isEqualTo(field);
    assertThat(refused).message().isNotBlank();
  }

  private static void refusesAll(String code, Road road, String run) {
    List<ThrowingCallable> calls =
        List.of(
            () -> road.get(run),
            () -> road.cancel(run),
            () -> road.resume(run),
            () -> road.delete(run),
            () -> next(road.watch(run, 0)),
            () -> road.samples(run, OptionalInt.empty()),
            () -> road.artifacts(run, 0, ""),
            () -> road.download("runs/" + run + "/artifacts/report.html"));
    for (ThrowingCallable call : calls) {
      Road.Refused refused = catchThrowableOfType(Road.Refused.class, call);
      assertThat(refused).isNotNull();
      assertThat(refused.code).isEqualTo(code);
    }
  }
}
