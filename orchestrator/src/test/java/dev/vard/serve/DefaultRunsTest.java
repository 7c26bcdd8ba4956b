package dev.vard.serve;

import static dev.vard.serve.TestServer.ADMIN;
import static dev.vard.serve.TestServer.ANN;
import static dev.vard.serve.TestServer.BOB;
import static dev.vard.serve.TestServer.SPEC;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.groups.Tuple.tuple;

import dev.vard.run.RunStatus;
import dev.vard.serve.RequestException.Code;
import dev.vard.serve.Runs.Content;
import dev.vard.serve.Runs.Creation;
import dev.vard.serve.Runs.Page;
import dev.vard.serve.Runs.PageRequest;
import dev.vard.serve.Runs.RunView;
import dev.vard.store.RunStore.AuditEntry;
import dev.vard.store.StoredRun;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
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
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Requests to an orchestrator that runs nothing: what is asked for stays in the queue. */
@Timeout(120)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class DefaultRunsTest {
  private static final PageRequest FIRST = new PageRequest(0, "");

  private Path folder;
  private TestServer server;
  private Runs runs;
  private int owners;

  @BeforeAll
  void startServer(@TempDir Path folder) {
    this.folder = folder;
    server =
        new TestServer(
            folder,
            TestServer.h2(folder),
            "one",
            List.of("127.0.0.1:1"),
            Map.of(
                "vard.serve.max-active-runs", 3,
                "vard.serve.max-prompts", 4,
                "vard.serve.max-specification-bytes", 2_000));
    runs = server.runs;
  }

  @AfterAll
  void endServer() {
    server.close();
  }

  /** Somebody whom no other test knows. */
  private Caller somebody() {
    return new Caller("owner-" + ++owners, false, "127.0.0.1:4");
  }

  private static RequestException refusal(ThrowingCallable request) {
    return catchThrowableOfType(RequestException.class, request);
  }

  private RequestException refused(Creation creation) {
    return refusal(() -> runs.create(somebody(), creation));
  }

  @Test
  void shouldPutARunIntoTheQueue() {
    Caller caller = somebody();

    RunView view = runs.create(caller, new Creation(SPEC, List.of("seed=3"), 5, ""));

    StoredRun run = view.run();
    assertThat(run.id()).matches("test-[0-9a-z]{8}");
    assertThat(run.owner()).isEqualTo(caller.owner());
    assertThat(run.status()).isEqualTo(RunStatus.WAITING);
    assertThat(run.priority()).isEqualTo(5);
    assertThat(run.iterations()).isEqualTo(3);
    assertThat(run.specification())
        .contains("seed: 3", "rank: 8", folder.resolve("models/tiny").toString());
    assertThat(runs.get(caller, run.id())).isEqualTo(view);
  }

  @Test
  void shouldMakeOneRunOfARequestThatIsRepeated() {
    Caller caller = somebody();
    String id = UUID.randomUUID().toString();

    RunView first = runs.create(caller, new Creation(SPEC, List.of(), 0, id));
    RunView again =
        runs.create(
            caller, new Creation(SPEC, List.of(), 0, id.toUpperCase(java.util.Locale.ROOT)));
    RunView others = runs.create(somebody(), new Creation(SPEC, List.of(), 0, id));

    assertThat(again.run().id()).isEqualTo(first.run().id());
    assertThat(others.run().id()).isNotEqualTo(first.run().id());
  }

  @Test
  void shouldRefuseARequestIdOfAnotherRequest() {
    Caller caller = somebody();
    String id = UUID.randomUUID().toString();
    runs.create(caller, new Creation(SPEC, List.of(), 0, id));

    RequestException refusal =
        refusal(() -> runs.create(caller, new Creation(SPEC, List.of("seed=3"), 0, id)));

    assertThat(refusal.code()).isEqualTo(Code.ALREADY_EXISTS);
    assertThat(refusal.field()).contains("request_id");
  }

  @Test
  void shouldBoundTheRunsOfAnOwner() {
    Caller caller = somebody();
    String id = UUID.randomUUID().toString();
    RunView first = runs.create(caller, new Creation(SPEC, List.of(), 0, id));
    runs.create(caller, new Creation(SPEC, List.of(), 0, ""));
    RunView third = runs.create(caller, new Creation(SPEC, List.of(), 0, ""));

    RequestException refusal =
        refusal(() -> runs.create(caller, new Creation(SPEC, List.of(), 0, "")));
    RunView again = runs.create(caller, new Creation(SPEC, List.of(), 0, id));
    runs.cancel(caller, third.run().id());
    runs.create(caller, new Creation(SPEC, List.of(), 0, ""));

    assertThat(refusal.code()).isEqualTo(Code.RESOURCE_EXHAUSTED);
    assertThat(again.run().id()).isEqualTo(first.run().id());
    assertThat(refusal(() -> runs.resume(caller, third.run().id())).code())
        .isEqualTo(Code.RESOURCE_EXHAUSTED);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "algorithm.samples=0|algorithm.samples: 0 is below 2",
        "prompts.list=[a, b, c, d, e]|prompts.list: has 5 prompts; give at most 4",
        "prompts={file: /etc/passwd}|prompts.file: the server reads no files",
        "model.checkpoint=/etc|there is no '/etc' in the server's model folders",
        "model.checkpoint=../runs|there is no '../runs' in the server's model folders",
        "model.checkpoint=owner/name|the server takes no model from the hub",
        "worker=embedded|worker: the server decides",
        "reward={kind: supplied}|reward.kind: supplied needs a Java program"
      })
  void shouldSayWhatIsWrongWithASpecification(String override, String why) {
    RequestException refusal = refused(new Creation(SPEC, List.of(override), 0, ""));

    assertThat(refusal.code()).isEqualTo(Code.INVALID_ARGUMENT);
    assertThat(refusal.field()).contains("specification");
    assertThat(refusal).hasMessageContaining(why);
  }

  @Test
  void shouldTellOfSeveralProblemsAtOnceButNotOfAll() {
    StringBuilder text = new StringBuilder(SPEC);
    for (int i = 0; i < 100; i++) {
      text.append("wrong").append(i).append(": 1\n");
    }

    assertThat(refused(new Creation(text.toString(), List.of(), 0, "")).getMessage())
        .contains("wrong0", "wrong9", "and 90 more")
        .hasSizeLessThan(4_000);
  }

  @Test
  void shouldCheckTheRestOfACreation() {
    assertThat(refused(new Creation("", List.of(), 0, "")).field()).contains("specification");
    assertThat(refused(new Creation(SPEC + "#".repeat(2_000), List.of(), 0, "")).getMessage())
        .contains("give at most 2000");
    assertThat(refused(new Creation(SPEC, List.of("a".repeat(2_000)), 0, "")).getMessage())
        .contains("give at most 2000");
    assertThat(refused(new Creation(SPEC, List.of(), 101, "")).field()).contains("priority");
    assertThat(refused(new Creation(SPEC, List.of(), Integer.MIN_VALUE, "")).field())
        .contains("priority");
    assertThat(refused(new Creation(SPEC, List.of(), 0, "mine")).field()).contains("request_id");
  }

  @Test
  void shouldHideOthersRuns() {
    StoredRun run = server.create(somebody());
    String id = run.id();
    List<ThrowingCallable> requests =
        List.of(
            () -> runs.get(BOB, id),
            () -> runs.cancel(BOB, id),
            () -> runs.resume(BOB, id),
            () -> runs.delete(BOB, id),
            () -> runs.watch(BOB, id, 0),
            () -> runs.samples(BOB, id, OptionalInt.empty(), FIRST),
            () -> runs.artifacts(BOB, id, FIRST),
            () -> runs.open(BOB, id, "metrics.jsonl"));

    for (ThrowingCallable request : requests) {
      RequestException refusal = refusal(request);
      assertThat(refusal.code()).isEqualTo(Code.NOT_FOUND);
      assertThat(refusal).hasMessage("there is no run " + id + "; see vard list");
    }
    assertThat(runs.get(ADMIN, id).run()).isEqualTo(run);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "missing", "..", "a/b", "a\u0000b", "../../etc", "-a", "%00"})
  void shouldKnowNoOtherNames(String id) {
    assertThat(refusal(() -> runs.get(ADMIN, id)).code()).isEqualTo(Code.NOT_FOUND);
    assertThat(refusal(() -> runs.delete(ADMIN, id)).code()).isEqualTo(Code.NOT_FOUND);
  }

  @Test
  void shouldListInPages() {
    Caller caller = somebody();
    List<String> made = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      made.addFirst(server.create(caller).id());
    }

    List<String> listed = new ArrayList<>();
    String token = "";
    do {
      Page<RunView> page = runs.list(caller, new PageRequest(2, token), "state = WAITING");
      page.items().forEach(view -> listed.add(view.run().id()));
      token = page.nextToken();
    } while (!token.isEmpty());

    assertThat(listed).isEqualTo(made);
  }

  @Test
  void shouldListOnlyWhatTheFilterAndTheOwnerLetThrough() {
    Caller caller = somebody();
    StoredRun mine = server.create(caller);
    server.create(caller, "name=other");
    server.create(somebody());

    assertThat(runs.list(caller, FIRST, "display_name = \"te*\"").items())
        .extracting(view -> view.run().id())
        .containsExactly(mine.id());
    assertThat(runs.list(ADMIN, FIRST, "owner = " + caller.owner()).items()).hasSize(2);
    assertThat(runs.list(caller, FIRST, "owner = ann").items()).isEmpty();
  }

  @Test
  void shouldBindATokenToItsList() {
    Caller caller = somebody();
    server.create(caller);
    server.create(caller);
    String token = runs.list(caller, new PageRequest(1, ""), "").nextToken();
    PageRequest next = new PageRequest(1, token);

    assertThat(runs.list(caller, next, "").items()).hasSize(1);
    assertThat(refusal(() -> runs.list(caller, next, "state = DONE")).field())
        .contains("page_token");
    assertThat(refusal(() -> runs.list(somebody(), next, "")).field()).contains("page_token");
    assertThat(refusal(() -> runs.list(caller, new PageRequest(1, "x"), "")).field())
        .contains("page_token");
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 1_001, Integer.MIN_VALUE, Integer.MAX_VALUE})
  void shouldBoundPages(int size) {
    assertThat(refusal(() -> runs.list(ANN, new PageRequest(size, ""), "")).field())
        .contains("page_size");
  }

  @Test
  void shouldMoveRunsOnlyAsTheyMayMove() {
    Caller caller = somebody();
    String id = server.create(caller).id();

    assertThat(runs.resume(caller, id).run().status()).isEqualTo(RunStatus.WAITING);
    assertThat(runs.cancel(caller, id).run().status()).isEqualTo(RunStatus.CANCELLED);
    assertThat(runs.cancel(caller, id).run().status()).isEqualTo(RunStatus.CANCELLED);
    assertThat(runs.resume(caller, id).run().status()).isEqualTo(RunStatus.WAITING);
  }

  @Test
  void shouldDeleteARunWithItsFiles() throws IOException {
    Caller caller = somebody();
    String id = server.create(caller).id();
    Path files = Files.createDirectories(folder.resolve("runs").resolve(id));
    Files.writeString(files.resolve("metrics.jsonl"), "{}");

    runs.delete(caller, id);

    assertThat(refusal(() -> runs.get(caller, id)).code()).isEqualTo(Code.NOT_FOUND);
    assertThat(files).doesNotExist();
    assertThat(folder.resolve("runs/.deleted")).isEmptyDirectory();
  }

  @Test
  void shouldServeFilesAndNoOthers() throws IOException {
    Caller caller = somebody();
    String id = server.create(caller).id();
    Path files = Files.createDirectories(folder.resolve("runs").resolve(id));
    Files.writeString(files.resolve("metrics.jsonl"), "{}");

    assertThat(runs.artifacts(caller, id, FIRST).items())
        .extracting("path")
        .containsExactly("metrics.jsonl");
    try (Content content = runs.open(caller, id, "metrics.jsonl")) {
      assertThat(content.bytes()).hasContent("{}");
    }
    assertThat(refusal(() -> runs.open(caller, id, "../../database.mv.db")).code())
        .isEqualTo(Code.NOT_FOUND);
  }

  @Test
  void shouldWriteDownWhoAskedForWhat() {
    Caller caller = somebody();
    String id = server.create(caller).id();
    refusal(() -> runs.create(caller, new Creation("name: x", List.of(), 0, "")));
    refusal(() -> runs.get(BOB, id));
    refusal(() -> runs.get(BOB, "missing"));
    runs.cancel(caller, id);
    runs.get(caller, id);
    refusal(() -> runs.delete(BOB, id));
    runs.delete(ADMIN, id);

    assertThat(server.store.audited(6).reversed())
        .extracting(
            AuditEntry::who,
            AuditEntry::peer,
            AuditEntry::action,
            AuditEntry::target,
            AuditEntry::outcome)
        .containsExactly(
            tuple(caller.owner(), "127.0.0.1:4", "CreateRun", id, "OK"),
            tuple(caller.owner(), "127.0.0.1:4", "CreateRun", "", "INVALID_ARGUMENT"),
            tuple("bob", "127.0.0.1:2", "GetRun", id, "PERMISSION_DENIED"),
            tuple(caller.owner(), "127.0.0.1:4", "CancelRun", id, "OK"),
            tuple("bob", "127.0.0.1:2", "DeleteRun", id, "PERMISSION_DENIED"),
            tuple("root", "127.0.0.1:3", "DeleteRun", id, "OK"));
  }

  @Test
  void shouldTellOfTheRunsEvents() throws InterruptedException {
    Caller caller = somebody();
    String id = server.create(caller).id();
    runs.cancel(caller, id);

    assertThat(server.watchToTheEnd(id, 0))
        .extracting(
            event -> event.sequence() + event.json().replaceAll(".*\"to\":\"(\\w+)\".*", "$1"))
        .containsExactly("1WAITING", "2CANCELLED");
    assertThat(refusal(() -> runs.watch(caller, id, -1)).field()).contains("after_sequence");
  }

  /** Whatever is asked for, the answer is an answer. */
  @Test
  void shouldRefuseWhatCannotBeReadAndNothingElse() {
    Random random = new Random(5);
    Caller caller = somebody();
    for (int i = 0; i < 1_000; i++) {
      StringBuilder text = new StringBuilder(SPEC);
      for (int change = 1 + random.nextInt(4); change > 0; change--) {
        int place = random.nextInt(text.length());
        switch (random.nextInt(4)) {
          case 0 -> text.setCharAt(place, (char) random.nextInt(0x250));
          case 1 -> text.insert(place, "{}[]:,&*!|>'\"%@`\n\t-0x1e9.~".charAt(random.nextInt(26)));
          case 2 -> text.delete(place, Math.min(text.length(), place + random.nextInt(30)));
          default -> text.insert(place, text.substring(random.nextInt(text.length())));
        }
      }
      Creation creation = new Creation(text.toString(), List.of(), 0, "");
      try {
        runs.cancel(caller, runs.create(caller, creation).run().id());
      } catch (RequestException e) {
        assertThat(e.code()).as(text.toString()).isEqualTo(Code.INVALID_ARGUMENT);
      }
    }
  }
}
