package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import dev.vard.reward.Answer;
import dev.vard.run.Checkpoint;
import dev.vard.run.FencedException;
import dev.vard.run.Round;
import dev.vard.run.RunEnd;
import dev.vard.run.RunEvent;
import dev.vard.run.RunJournal;
import dev.vard.run.RunState;
import dev.vard.run.RunStatus;
import dev.vard.store.RunQuery.Comparison;
import dev.vard.store.RunQuery.CreatedTerm;
import dev.vard.store.RunQuery.Place;
import dev.vard.store.RunQuery.PriorityTerm;
import dev.vard.store.RunQuery.StatusTerm;
import dev.vard.store.RunQuery.Term;
import dev.vard.store.RunQuery.TextField;
import dev.vard.store.RunQuery.TextTerm;
import dev.vard.store.RunStore.AuditEntry;
import dev.vard.store.RunStore.Claim;
import dev.vard.store.StoreException.Kind;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What every database must do. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class RunStoreContract {
  private static final Round ROUND = new Round(Round.Kind.COLLECT, 1);
  private static final int WRITERS = 8;

  private final MovableClock clock = new MovableClock();
  private Database database;
  private OpenStore open;
  private RunStore store;

  abstract Database database();

  @BeforeAll
  void open() {
    database = database();
    open = OpenStore.open(database.properties(), clock);
    store = open.store();
  }

  @AfterAll
  void close() {
    open.close();
  }

  @BeforeEach
  void empty() throws SQLException {
    for (String table : List.of("run", "queue", "audit")) {
      sql("delete from " + table);
    }
  }

  private void sql(String statement) throws SQLException {
    try (Connection connection = connect();
        Statement jdbc = connection.createStatement()) {
      jdbc.execute(statement);
    }
  }

  private int count(String table) throws SQLException {
    try (Connection connection = connect();
        Statement jdbc = connection.createStatement();
        ResultSet result = jdbc.executeQuery("select count(*) from " + table)) {
      result.next();
      return result.getInt(1);
    }
  }

  private Connection connect() throws SQLException {
    return DriverManager.getConnection(database.url(), database.user(), database.password());
  }

  private StoredRun create(String id) {
    return store.create(Made.run(id, "alice", 0));
  }

  private Claim claim(String id) {
    return store.claim(id, "here").orElseThrow();
  }

  private Claim running(String id) {
    create(id);
    return claim(id);
  }

  /** Brings a new run to a status. */
  private StoredRun at(String id, RunStatus status) {
    return switch (status) {
      case WAITING -> create(id);
      case RUNNING -> running(id).run();
      case PAUSED, CANCELLED, FAILED, DONE -> store.release(running(id), Made.end(status));
    };
  }

  private List<String> events(String id) {
    return store.events(id, 0, 1000).stream().map(StoredEvent::json).toList();
  }

  private static void assertKind(Kind kind, Runnable call) {
    assertThatThrownBy(call::run)
        .isInstanceOfSatisfying(
            StoreException.class, e -> assertThat(e.kind()).as(e.getMessage()).isEqualTo(kind));
  }

  /** Runs the same at the same time on many threads. */
  private static <T> List<T> atOnce(List<Callable<T>> work) throws Exception {
    CyclicBarrier start = new CyclicBarrier(work.size());
    try (ExecutorService threads = Executors.newFixedThreadPool(work.size())) {
      List<Future<T>> futures = new ArrayList<>();
      for (Callable<T> one : work) {
        futures.add(
            threads.submit(
                () -> {
                  start.await();
                  return one.call();
                }));
      }
      List<T> results = new ArrayList<>();
      for (Future<T> future : futures) {
        results.add(future.get());
      }
      return results;
    }
  }

  // ------------------------------------------------------------------------------------ create

  @Test
  void shouldKeepANewRunAsItWasAskedFor() {
    StoredRun made =
        store.create(
            new NewRun("r-1.a_b", "Emoji é", "alice", "id", "digest", "name: x\n# é\n", 8, -3));

    assertThat(made)
        .isEqualTo(
            new StoredRun(
                "r-1.a_b",
                "Emoji é",
                "alice",
                "id",
                "name: x\n# é\n",
                RunStatus.WAITING,
                "",
                "",
                Optional.empty(),
                -3,
                0,
                0,
                "",
                false,
                0,
                8,
                0,
                made.rewardBefore(),
                made.rewardNow(),
                made.klPerTrajectory(),
                "",
                1,
                clock.instant(),
                Optional.empty(),
                Optional.empty()));
    assertThat(made.rewardBefore()).isEmpty();
    assertThat(store.find("r-1.a_b")).contains(made);
  }

  @Test
  void shouldKeepASpecificationOfAMegabyte() {
    String yaml = "prompt é\n".repeat(120_000);

    store.create(new NewRun("big", "big", "alice", "", "", yaml, 1, 0));

    assertThat(store.find("big").orElseThrow().specification()).isEqualTo(yaml);
  }

  @Test
  void shouldTellOfANewRun() {
    create("a");

    List<StoredEvent> events = store.events("a", 0, 10);
    assertThat(events)
        .containsExactly(
            new StoredEvent(
                "a",
                1,
                clock.instant(),
                "{\"event\":\"state_changed\",\"from\":null,\"to\":\"WAITING\",\"reason_code\":\"\",\"reason\":\"\"}"));
  }

  @Test
  void shouldFindNothingThatIsNotThere() {
    assertThat(store.find("nobody")).isEmpty();
    assertThat(store.findByRequest("alice", "nothing")).isEmpty();
    assertThat(store.events("nobody", 0, 10)).isEmpty();
  }

  @Test
  void shouldGiveTheSameRunForTheSameRequest() {
    StoredRun first = store.create(Made.request("a", "alice", "id", "digest"));

    StoredRun second = store.create(Made.request("b", "alice", "id", "digest"));

    assertThat(second).isEqualTo(first);
    assertThat(store.findByRequest("alice", "id")).contains(first);
    assertThat(store.find("b")).isEmpty();
  }

  @Test
  void shouldRefuseARequestIdThatWasUsedForSomethingElse() {
    store.create(Made.request("a", "alice", "id", "digest"));

    assertKind(Kind.CONFLICT, () -> store.create(Made.request("b", "alice", "id", "other")));
  }

  @Test
  void shouldLetEachOwnerUseTheSameRequestId() {
    store.create(Made.request("a", "alice", "id", "digest"));

    assertThat(store.create(Made.request("b", "bob", "id", "other")).id()).isEqualTo("b");
  }

  @Test
  void shouldRefuseAnIdThatIsTaken() {
    create("a");

    assertKind(Kind.CONFLICT, () -> store.create(Made.run("a", "bob", 0)));
  }

  @Test
  void shouldMakeOneRunOfOneRequestThatComesInManyTimesAtOnce() throws Exception {
    List<Callable<StoredRun>> creations =
        IntStream.range(0, WRITERS)
            .<Callable<StoredRun>>mapToObj(
                i -> () -> store.create(Made.request("r" + i, "alice", "id", "digest")))
            .toList();

    List<StoredRun> runs = atOnce(creations);

    assertThat(runs).containsOnly(runs.getFirst());
    assertThat(count("run")).isEqualTo(1);
  }

  // ------------------------------------------------------------------------------------- turns

  private long turn(String id, String owner, int priority) {
    return store.create(Made.run(id, owner, priority)).turn();
  }

  @Test
  void shouldLetOwnersTakeTurns() {
    for (int i = 0; i < 3; i++) {
      store.create(Made.run("alice-" + i, "alice", 0));
    }
    clock.pass(Duration.ofSeconds(1));
    for (int i = 0; i < 2; i++) {
      store.create(Made.run("bob-" + i, "bob", 0));
    }

    assertThat(store.queue(EnumSet.of(RunStatus.WAITING)))
        .extracting(StoredRun::id)
        .containsExactly("alice-0", "bob-0", "alice-1", "bob-1", "alice-2");
  }

  @Test
  void shouldNotLetAnybodySaveUpTurns() {
    for (int i = 0; i < 5; i++) {
      store.create(Made.run("alice-" + i, "alice", 0));
    }
    for (int i = 0; i < 4; i++) {
      claim("alice-" + i);
    }

    assertThat(turn("bob-0", "bob", 0)).isEqualTo(3);
    assertThat(turn("bob-1", "bob", 0)).isEqualTo(4);
  }

  @Test
  void shouldGiveTurnsForEachPriorityByItself() {
    turn("a", "alice", 0);
    turn("b", "alice", 0);

    assertThat(turn("c", "alice", 5)).isZero();
  }

  @Test
  void shouldQueueTheLargerPriorityFirst() {
    turn("low", "alice", -1);
    turn("middle", "bob", 0);
    turn("high", "alice", 7);

    assertThat(store.queue(EnumSet.of(RunStatus.WAITING)))
        .extracting(StoredRun::id)
        .containsExactly("high", "middle", "low");
  }

  @Test
  void shouldNotTurnTheQueueBackForARunWithAnOldTurn() {
    turn("old", "alice", 0);
    turn("new", "alice", 0);
    claim("new");
    claim("old");

    assertThat(turn("b", "bob", 0)).isEqualTo(1);
  }

  @Test
  void shouldGiveEachTurnOnceToAnOwnerWhoAsksForManyRunsAtOnce() throws Exception {
    List<Callable<Long>> creations =
        IntStream.range(0, WRITERS)
            .<Callable<Long>>mapToObj(i -> () -> turn("r" + i, "alice", 0))
            .toList();

    assertThat(atOnce(creations))
        .containsExactlyInAnyOrderElementsOf(LongStream.range(0, WRITERS).boxed().toList());
  }

  @Test
  void shouldCountTheRunsInFront() {
    turn("high", "carol", 1);
    turn("a0", "alice", 0);
    turn("a1", "alice", 0);
    clock.pass(Duration.ofSeconds(1));
    StoredRun bob = store.create(Made.run("b0", "bob", 0));

    assertThat(store.position(bob)).isEqualTo(2);
    claim("high");
    assertThat(store.position(bob)).isEqualTo(1);
    assertThat(store.position(store.find("high").orElseThrow())).isZero();
  }

  // --------------------------------------------------------------------------------- legal moves

  /** What each method makes of a run in each status; empty where it refuses. */
  static Stream<Arguments> moves() {
    return Stream.of(
        Arguments.of("cancel", RunStatus.WAITING, Optional.of(RunStatus.CANCELLED)),
        Arguments.of("cancel", RunStatus.RUNNING, Optional.of(RunStatus.RUNNING)),
        Arguments.of("cancel", RunStatus.PAUSED, Optional.of(RunStatus.CANCELLED)),
        Arguments.of("cancel", RunStatus.CANCELLED, Optional.of(RunStatus.CANCELLED)),
        Arguments.of("cancel", RunStatus.FAILED, Optional.empty()),
        Arguments.of("cancel", RunStatus.DONE, Optional.empty()),
        Arguments.of("resume", RunStatus.WAITING, Optional.of(RunStatus.WAITING)),
        Arguments.of("resume", RunStatus.RUNNING, Optional.of(RunStatus.RUNNING)),
        Arguments.of("resume", RunStatus.PAUSED, Optional.of(RunStatus.WAITING)),
        Arguments.of("resume", RunStatus.CANCELLED, Optional.of(RunStatus.WAITING)),
        Arguments.of("resume", RunStatus.FAILED, Optional.of(RunStatus.WAITING)),
        Arguments.of("resume", RunStatus.DONE, Optional.empty()));
  }

  @ParameterizedTest
  @MethodSource("moves")
  void shouldMoveOnlyAsIsLegal(String method, RunStatus from, Optional<RunStatus> to) {
    at("a", from);
    int before = events("a").size();
    Runnable move = method.equals("cancel") ? () -> store.cancel("a") : () -> store.resume("a");

    if (to.isEmpty()) {
      assertKind(Kind.ILLEGAL_MOVE, move);
    } else {
      move.run();
    }

    StoredRun after = store.find("a").orElseThrow();
    assertThat(after.status()).isEqualTo(to.orElse(from));
    assertThat(events("a")).hasSize(before + (after.status() == from ? 0 : 1));
  }

  @ParameterizedTest
  @EnumSource(RunStatus.class)
  void shouldClaimOnlyWhatIsToBeRun(RunStatus from) {
    at("a", from);

    assertThat(store.claim("a", "there").isPresent())
        .isEqualTo(from == RunStatus.WAITING || from == RunStatus.RUNNING);
  }

  @ParameterizedTest
  @EnumSource(RunStatus.class)
  void shouldDeleteOnlyWhatDoesNotRun(RunStatus from) {
    at("a", from);

    if (from == RunStatus.RUNNING) {
      assertKind(Kind.ILLEGAL_MOVE, () -> store.delete("a"));
      assertThat(store.find("a")).isPresent();
    } else {
      store.delete("a");
      assertThat(store.find("a")).isEmpty();
    }
  }

  @ParameterizedTest
  @EnumSource(RunStatus.class)
  void shouldReleaseToWhateverARunningRunMayBecome(RunStatus to) {
    Claim claim = running("a");

    if (to == RunStatus.RUNNING) {
      assertThatThrownBy(() -> store.release(claim, Made.end(to)))
          .isInstanceOf(IllegalArgumentException.class);
    } else {
      assertThat(store.release(claim, Made.end(to)).status()).isEqualTo(to);
    }
  }

  @Test
  void shouldNotMoveWhatIsNotThere() {
    assertKind(Kind.NOT_FOUND, () -> store.cancel("nobody"));
    assertKind(Kind.NOT_FOUND, () -> store.resume("nobody"));
    assertKind(Kind.NOT_FOUND, () -> store.delete("nobody"));
    assertThat(store.claim("nobody", "here")).isEmpty();
  }

  @Test
  void shouldTellOfEachMove() {
    store.release(running("a"), Made.end(RunStatus.PAUSED));
    store.resume("a");

    assertThat(events("a"))
        .containsExactly(
            moved("null", "WAITING", "", ""),
            moved("\"WAITING\"", "RUNNING", "", ""),
            moved("\"RUNNING\"", "PAUSED", "CODE", "a reason"),
            moved("\"PAUSED\"", "WAITING", "", ""));
  }

  private static String moved(String from, String to, String code, String reason) {
    return "{\"event\":\"state_changed\",\"from\":%s,\"to\":\"%s\",\"reason_code\":\"%s\",\"reason\":\"%s\"}"
        .formatted(from, to, code, reason);
  }

  // ---------------------------------------------------------------------------- claim and release

  @Test
  void shouldClaimWithANewGenerationEachTime() {
    create("a");

    Claim first = store.claim("a", "one").orElseThrow();
    clock.pass(Duration.ofMinutes(1));
    Claim second = store.claim("a", "two").orElseThrow();

    assertThat(first.run().generation()).isEqualTo(1);
    assertThat(first.journal().generation()).isEqualTo(1);
    assertThat(second.run().generation()).isEqualTo(2);
    assertThat(second.journal().generation()).isEqualTo(2);
    assertThat(second.run().orchestrator()).isEqualTo("two");
    assertThat(second.run().startedAt()).isEqualTo(first.run().startedAt()).isPresent();
    assertThat(second.run().specification()).isEqualTo("name: a\n");
  }

  @Test
  void shouldSayWhyARunIsClaimedFromAnOrchestratorThatIsGone() {
    running("a");

    claim("a");

    assertThat(events("a").getLast())
        .contains("\"from\":\"RUNNING\",\"to\":\"RUNNING\",\"reason_code\":\"RESTARTED\"");
  }

  @Test
  void shouldGiveARunToOneOfManyWhoClaimItLast() throws Exception {
    create("a");
    List<Callable<Claim>> claims =
        IntStream.range(0, WRITERS)
            .<Callable<Claim>>mapToObj(i -> () -> store.claim("a", "o" + i).orElseThrow())
            .toList();

    List<Claim> all = atOnce(claims);

    assertThat(all)
        .extracting(claim -> claim.run().generation())
        .containsExactlyInAnyOrderElementsOf(LongStream.rangeClosed(1, WRITERS).boxed().toList());
    assertThat(store.events("a", 0, 100))
        .extracting(StoredEvent::sequence)
        .containsExactlyElementsOf(LongStream.rangeClosed(1, WRITERS + 1).boxed().toList());
  }

  @Test
  void shouldClaimAPausedRunOnceItsTimeHasCome() {
    Instant retryAt = clock.instant().plusSeconds(60);
    StoredRun paused =
        store.release(
            running("a"),
            new RunEnd(
                RunStatus.PAUSED,
                "WORKER_UNAVAILABLE",
                "no worker",
                Optional.of(retryAt),
                Optional.empty()));
    assertThat(paused.retryAt()).contains(retryAt);
    assertThat(paused.endedAt()).isEmpty();

    assertThat(store.claim("a", "here")).isEmpty();
    clock.pass(Duration.ofSeconds(60));
    StoredRun again = claim("a").run();

    assertThat(again.status()).isEqualTo(RunStatus.RUNNING);
    assertThat(again.retryAt()).isEmpty();
    assertThat(again.reasonCode()).isEmpty();
    assertThat(events("a").subList(3, 5))
        .containsExactly(
            moved("\"PAUSED\"", "WAITING", "", ""), moved("\"WAITING\"", "RUNNING", "", ""));
  }

  @Test
  void shouldKeepTheTurnOfARunThatWasDrained() {
    turn("x", "alice", 0);
    create("a");
    StoredRun drained =
        store.release(
            claim("a"), new RunEnd(RunStatus.WAITING, "", "", Optional.empty(), Optional.empty()));

    assertThat(drained.turn()).isEqualTo(1);
    assertThat(drained.status()).isEqualTo(RunStatus.WAITING);
  }

  @Test
  void shouldGiveAResumedRunANewTurnAndACleanSlate() {
    at("a", RunStatus.FAILED);
    turn("b", "alice", 0);

    StoredRun resumed = store.resume("a");

    assertThat(resumed.turn()).isEqualTo(2);
    assertThat(resumed.reasonCode()).isEmpty();
    assertThat(resumed.reason()).isEmpty();
    assertThat(resumed.endedAt()).isEmpty();
    assertThat(resumed.cancelRequested()).isFalse();
  }

  @ParameterizedTest
  @EnumSource(
      value = RunStatus.class,
      names = {"CANCELLED", "FAILED", "DONE"})
  void shouldSayWhenAndWhyARunEnded(RunStatus status) {
    Claim claim = running("a");
    clock.pass(Duration.ofHours(1));

    StoredRun ended = store.release(claim, Made.end(status));

    assertThat(ended.endedAt()).contains(clock.instant());
    assertThat(ended.reasonCode()).isEqualTo("CODE");
    assertThat(ended.reason()).isEqualTo("a reason");
  }

  @Test
  void shouldReleaseOnlyWhatIsStillOurs() {
    Claim first = running("a");
    claim("a");

    assertThatThrownBy(() -> store.release(first, Made.end(RunStatus.DONE)))
        .isInstanceOf(FencedException.class);
    assertThat(store.find("a").orElseThrow().status()).isEqualTo(RunStatus.RUNNING);
  }

  @Test
  void shouldLetGoOnce() {
    Claim claim = running("a");
    StoredRun released = store.release(claim, Made.end(RunStatus.PAUSED));

    assertThat(store.release(claim, Made.end(RunStatus.PAUSED))).isEqualTo(released);
  }

  // -------------------------------------------------------------------------------------- cancel

  @Test
  void shouldNoteTheWishToStopARunningRun() {
    running("a");
    running("b");

    assertThat(store.cancel("a").cancelRequested()).isTrue();

    assertThat(store.cancelRequested(Set.of("a", "b", "c"))).containsExactly("a");
    assertThat(store.cancelRequested(Set.of())).isEmpty();
  }

  @ParameterizedTest
  @EnumSource(
      value = RunStatus.class,
      names = {"WAITING", "PAUSED"})
  void shouldCancelARunThatWouldWaitThoughSomebodyWantedItToStop(RunStatus end) {
    Claim claim = running("a");
    store.cancel("a");

    StoredRun released = store.release(claim, Made.end(end));

    assertThat(released.status()).isEqualTo(RunStatus.CANCELLED);
    assertThat(released.reason()).isEqualTo(Made.end(end).reason());
    assertThat(released.cancelRequested()).isFalse();
    assertThat(released.endedAt()).isPresent();
  }

  @Test
  void shouldKeepTheReasonOfAPauseWhenItIsCancelled() {
    StoredRun paused = store.release(running("a"), Made.end(RunStatus.PAUSED));

    StoredRun cancelled = store.cancel("a");

    assertThat(cancelled.status()).isEqualTo(RunStatus.CANCELLED);
    assertThat(cancelled.reasonCode()).isNotEmpty().isEqualTo(paused.reasonCode());
    assertThat(cancelled.reason()).isNotEmpty().isEqualTo(paused.reason());
    assertThat(cancelled.retryAt()).isEmpty();
  }

  @Test
  void shouldCancelARunWhoseOrchestratorDidNotLiveToSeeTheWish() {
    running("a");
    store.cancel("a");

    assertThat(store.claim("a", "there")).isEmpty();

    assertThat(store.find("a").orElseThrow().status()).isEqualTo(RunStatus.CANCELLED);
  }

  @Test
  void shouldNotCancelAResumedRunForAnOldWish() {
    Claim claim = running("a");
    store.cancel("a");
    store.release(claim, Made.end(RunStatus.CANCELLED));

    store.resume("a");

    assertThat(store.claim("a", "here")).isPresent();
    assertThat(store.cancelRequested(Set.of("a"))).isEmpty();
  }

  // ------------------------------------------------------------------------------------- journal

  @Test
  void shouldGiveBackAStateToTheBit() {
    RunJournal journal = running("a").journal();
    RunState state = Made.state(0);

    journal.commit(state, List.of());

    assertThat(journal.state()).contains(state);
    assertThat(claim("a").journal().state()).contains(state);
  }

  @Test
  void shouldGiveBackTheStateOfAnyAlgorithm() {
    RunJournal journal = running("a").journal();

    journal.commit(Made.ddpo(0), List.of());

    assertThat(journal.state()).contains(Made.ddpo(0));
  }

  @Test
  void shouldHaveNoStateBeforeTheFirstStep() {
    RunJournal journal = running("a").journal();

    assertThat(journal.state()).isEmpty();
    assertThat(journal.checkpoints()).isEmpty();
    assertThat(journal.answers(ROUND)).isEmpty();
    assertThat(journal.durable()).isTrue();
  }

  @Test
  void shouldShowInTheRunHowFarItIs() {
    running("a").journal().commit(Made.state(0), List.of());

    StoredRun run = store.find("a").orElseThrow();
    assertThat(run.iteration()).isEqualTo(2);
    assertThat(run.rewardQueries()).isEqualTo(64);
    assertThat(run.rewardBefore()).hasValue(1.5);
    assertThat(run.rewardNow()).hasValue(0.1 + 0.2);
    assertThat(run.klPerTrajectory()).hasValue(12.5);
    assertThat(run.exportSha256()).isEmpty();
  }

  @Test
  void shouldShowWhatADoneRunExported() {
    Claim claim = running("a");
    claim.journal().commit(Made.state(0), List.of());
    claim.journal().commit(Made.finished(Made.state(1)), List.of());

    StoredRun done = store.release(claim, Made.end(RunStatus.DONE));

    assertThat(done.exportSha256()).isEqualTo("c0ffee");
    assertThat(claim.journal().state()).contains(Made.finished(Made.state(1)));
  }

  @Test
  void shouldKeepAMeanThatIsNoNumber() {
    RunState state = Made.state(0);
    RunEvent.Evaluated none = Made.evaluated(2, Double.NaN);
    running("a")
        .journal()
        .commit(
            new RunState(
                0,
                state.algorithm(),
                state.first(),
                Optional.of(none),
                state.iteration(),
                state.seconds(),
                Optional.empty()),
            List.of());

    assertThat(store.find("a").orElseThrow().rewardNow()).hasValue(Double.NaN);
  }

  @Test
  void shouldCommitAStateAndItsEventsTogether() {
    RunJournal journal = running("a").journal();

    journal.commit(Made.state(0), List.of(Made.event(1), Made.event(2)));
    journal.tell(List.of(Made.event(3)));
    journal.tell(List.of());

    assertThat(journal.events()).hasSize(5);
    assertThat(store.events("a", 2, 2))
        .extracting(StoredEvent::sequence, StoredEvent::json)
        .containsExactly(
            tuple(
                3L, "{\"event\":\"checkpointed\",\"iteration\":1,\"bytes\":1000,\"seconds\":0.5}"),
            tuple(
                4L, "{\"event\":\"checkpointed\",\"iteration\":2,\"bytes\":1000,\"seconds\":0.5}"));
    assertThat(store.find("a").orElseThrow().lastSequence()).isEqualTo(5);
  }

  @Test
  void shouldRefuseAStepThatDoesNotFollow() {
    RunJournal journal = running("a").journal();
    assertThatThrownBy(() -> journal.commit(Made.state(1), List.of()))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("step 1 cannot follow step none");
    journal.commit(Made.state(0), List.of());

    for (long step : List.of(0, 2)) {
      assertThatThrownBy(() -> journal.commit(Made.state(step), List.of(Made.event(1))))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("step " + step + " cannot follow step 0");
    }
    assertThat(journal.events()).hasSize(2);
  }

  @Test
  void shouldTakeAResultForTheSameStepOnce() {
    RunJournal journal = running("a").journal();
    journal.commit(Made.state(0), List.of());

    journal.commit(Made.finished(Made.state(0)), List.of());

    assertThatThrownBy(() -> journal.commit(Made.finished(Made.state(0)), List.of()))
        .isInstanceOf(IllegalStateException.class);
  }

  @Test
  void shouldRememberAnswersByRoundAndIndex() {
    RunJournal journal = running("a").journal();
    Round evaluation = new Round(Round.Kind.EVALUATE, 1);

    journal.answered(ROUND, 3, Made.score(0.1 + 0.2), "");
    journal.answered(ROUND, 0, Made.score(-0.0), "");
    journal.answered(evaluation, 0, Made.score(Double.MIN_VALUE), "");

    assertThat(journal.answers(ROUND))
        .isEqualTo(Map.of(0, Made.score(-0.0), 3, Made.score(0.1 + 0.2)));
    assertThat(claim("a").journal().answers(evaluation))
        .isEqualTo(Map.of(0, Made.score(Double.MIN_VALUE)));
  }

  @Test
  void shouldRefuseASecondAnswerToAQuery() {
    RunJournal journal = running("a").journal();
    journal.answered(ROUND, 0, Made.score(1), "");

    assertThatThrownBy(() -> journal.answered(ROUND, 0, Made.score(1), ""))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("query 0 of collect-0001 was answered before");
  }

  @Test
  void shouldListTheCheckpointsThatWereNotForgottenNewestFirst() {
    RunJournal journal = running("a").journal();
    List<Checkpoint> checkpoints =
        IntStream.range(0, 3)
            .mapToObj(i -> new Checkpoint(Made.state(i), "checkpoints/000" + (9 - i), 10 + i))
            .toList();
    for (Checkpoint checkpoint : checkpoints) {
      journal.checkpointed(checkpoint, new RunEvent.Checkpointed(1, 10, 0.5));
    }

    journal.forget(checkpoints.get(1));

    assertThat(journal.checkpoints()).containsExactly(checkpoints.get(2), checkpoints.get(0));
    assertThat(journal.events()).hasSize(5);
  }

  @Test
  void shouldFenceEveryWriteOfAnOlderGeneration() {
    RunJournal old = running("a").journal();
    Checkpoint checkpoint = new Checkpoint(Made.state(0), "checkpoints/1", 10);
    old.checkpointed(checkpoint, new RunEvent.Checkpointed(1, 10, 0.5));
    RunJournal current = claim("a").journal();
    List<String> before = current.events();

    for (Runnable write :
        List.<Runnable>of(
            () -> old.commit(Made.state(0), List.of(Made.event(1))),
            () -> old.tell(List.of(Made.event(1))),
            () -> old.answered(ROUND, 0, Made.score(1), ""),
            () -> old.checkpointed(checkpoint, new RunEvent.Checkpointed(2, 10, 0.5)),
            () -> old.forget(checkpoint))) {
      assertThatThrownBy(write::run).isInstanceOf(FencedException.class);
    }

    assertThat(current.events()).isEqualTo(before);
    assertThat(current.state()).isEmpty();
    assertThat(current.answers(ROUND)).isEmpty();
    assertThat(current.checkpoints()).hasSize(1);
  }

  @Test
  void shouldFenceARunThatWasLetGo() {
    Claim claim = running("a");
    store.release(claim, Made.end(RunStatus.PAUSED));

    assertThatThrownBy(() -> claim.journal().tell(List.of(Made.event(1))))
        .isInstanceOf(FencedException.class);
  }

  @Test
  void shouldFenceARunThatWasDeleted() {
    Claim claim = running("a");
    store.release(claim, Made.end(RunStatus.PAUSED));
    store.delete("a");

    assertThatThrownBy(() -> claim.journal().answered(ROUND, 0, Made.score(1), ""))
        .isInstanceOf(FencedException.class);
    assertThatThrownBy(() -> store.release(claim, Made.end(RunStatus.PAUSED)))
        .isInstanceOf(FencedException.class);
  }

  @Test
  void shouldNumberEventsWithoutGapsUnderManyWriters() throws Exception {
    RunJournal journal = running("a").journal();
    int each = 25;
    List<Callable<Void>> writers =
        IntStream.range(0, WRITERS)
            .<Callable<Void>>mapToObj(
                writer ->
                    () -> {
                      for (int i = 0; i < each; i++) {
                        journal.tell(List.of(Made.event(writer), Made.event(i)));
                      }
                      return null;
                    })
            .toList();

    atOnce(writers);

    int last = 2 + 2 * WRITERS * each;
    assertThat(store.events("a", 0, 10_000))
        .extracting(StoredEvent::sequence)
        .containsExactlyElementsOf(LongStream.rangeClosed(1, last).boxed().toList());
    assertThat(store.find("a").orElseThrow().lastSequence()).isEqualTo(last);
  }

  @Test
  void shouldTakeAnswersFromManyThreads() throws Exception {
    RunJournal journal = running("a").journal();
    List<Callable<Void>> writers =
        IntStream.range(0, WRITERS)
            .<Callable<Void>>mapToObj(
                writer ->
                    () -> {
                      for (int i = 0; i < 25; i++) {
                        journal.answered(ROUND, writer * 25 + i, Made.score(writer), "");
                      }
                      return null;
                    })
            .toList();

    atOnce(writers);

    assertThat(journal.answers(ROUND)).hasSize(WRITERS * 25);
  }

  @Test
  void shouldWriteDownWhatAnInterruptedThreadHasToSay() {
    RunJournal journal = running("a").journal();

    Thread.currentThread().interrupt();
    journal.answered(ROUND, 0, Made.score(1), "");
    journal.commit(Made.state(0), List.of());

    assertThat(Thread.interrupted()).isTrue();
    assertThat(journal.answers(ROUND)).hasSize(1);
    assertThat(journal.state()).isPresent();
  }

  @Test
  void shouldLoseNothingToInterruptsThatComeAtAnyMoment() throws Exception {
    RunJournal journal = running("a").journal();
    AtomicInteger answered = new AtomicInteger();
    AtomicBoolean enough = new AtomicBoolean();
    // A virtual one: an interrupt closes its sockets.
    Thread writer =
        Thread.ofVirtual()
            .start(
                () -> {
                  while (!enough.get()) {
                    journal.answered(ROUND, answered.get(), Made.score(1), "");
                    answered.incrementAndGet();
                  }
                });

    Random random = new Random(7);
    for (int i = 0; i < 20; i++) {
      LockSupport.parkNanos(random.nextLong(50_000_000));
      writer.interrupt();
    }
    enough.set(true);
    writer.join();

    assertThat(answered.get()).isPositive();
    assertThat(journal.answers(ROUND)).hasSize(answered.get());
  }

  @Test
  void shouldFenceAnAnswerThatComesInWhileTheRunIsClaimed() throws Exception {
    RunJournal old = running("a").journal();
    List<Callable<Map<Integer, Answer>>> both =
        List.of(
            () -> {
              try {
                for (int i = 0; i < 1000; i++) {
                  old.answered(ROUND, i, Made.score(i), "");
                }
              } catch (FencedException e) {
                return Map.of();
              }
              throw new IllegalStateException("it was never fenced");
            },
            () -> {
              // What the new owner reads is all there will ever be of the old one.
              return claim("a").journal().answers(ROUND);
            });

    Map<Integer, Answer> seen = atOnce(both).getLast();

    assertThat(claim("a").journal().answers(ROUND)).isEqualTo(seen);
  }

  // --------------------------------------------------------------------------------------- lists

  private List<String> listed(Optional<String> owner, Term... terms) {
    return store.list(new RunQuery(owner, Arrays.asList(terms), Optional.empty(), 100)).stream()
        .map(StoredRun::id)
        .toList();
  }

  @Test
  void shouldListTheNewestFirst() {
    for (String id : List.of("b", "c", "a")) {
      create(id);
      clock.pass(Duration.ofNanos(1000));
    }

    assertThat(listed(Optional.empty())).containsExactly("a", "c", "b");
  }

  @Test
  void shouldListAnOwnersRuns() {
    create("a");
    store.create(Made.run("b", "bob", 0));

    assertThat(listed(Optional.of("bob"))).containsExactly("b");
  }

  @Test
  void shouldPageWithoutMissingOrDoublingRunsOfTheSameInstant() {
    Set<String> ids = new HashSet<>();
    for (int i = 0; i < 7; i++) {
      create("r" + i);
      ids.add("r" + i);
      if (i % 3 == 2) {
        clock.pass(Duration.ofSeconds(1));
      }
    }

    List<String> seen = new ArrayList<>();
    Optional<Place> after = Optional.empty();
    while (true) {
      List<StoredRun> page = store.list(new RunQuery(Optional.empty(), List.of(), after, 2));
      if (page.isEmpty()) {
        break;
      }
      page.forEach(run -> seen.add(run.id()));
      after = Optional.of(new Place(page.getLast().createdAt(), page.getLast().id()));
      create("new" + seen.size());
    }

    assertThat(seen).doesNotHaveDuplicates().containsAll(ids);
  }

  static Stream<Arguments> texts() {
    return Stream.of(
        Arguments.of("name of b", true, List.of("b")),
        Arguments.of("name of b", false, List.of("a_b", "a%c", "acb")),
        Arguments.of("name of a*", true, List.of("a_b", "a%c", "acb")),
        Arguments.of("*b", true, List.of("a_b", "acb", "b")),
        Arguments.of("*a_*", true, List.of("a_b")),
        Arguments.of("*a%*", true, List.of("a%c")),
        Arguments.of("*a!*", true, List.of()),
        Arguments.of("*", true, List.of("a_b", "a%c", "acb", "b")),
        Arguments.of("name of a*", false, List.of("b")),
        Arguments.of("Name of b", true, List.of()),
        Arguments.of("' or 1=1 --", true, List.of()));
  }

  @ParameterizedTest
  @MethodSource("texts")
  void shouldFilterByText(String value, boolean equal, List<String> expected) {
    for (String id : List.of("a_b", "a%c", "acb", "b")) {
      create(id);
    }

    assertThat(listed(Optional.empty(), new TextTerm(TextField.NAME, equal, value)))
        .containsExactlyInAnyOrderElementsOf(expected);
  }

  static Stream<Arguments> comparisons() {
    return Stream.of(
        Arguments.of(Comparison.EQUAL, List.of("r0")),
        Arguments.of(Comparison.NOT_EQUAL, List.of("r-1", "r1")),
        Arguments.of(Comparison.LESS, List.of("r-1")),
        Arguments.of(Comparison.AT_MOST, List.of("r-1", "r0")),
        Arguments.of(Comparison.GREATER, List.of("r1")),
        Arguments.of(Comparison.AT_LEAST, List.of("r0", "r1")));
  }

  @ParameterizedTest
  @MethodSource("comparisons")
  void shouldFilterByPriorityAndTime(Comparison comparison, List<String> expected) {
    Instant middle = clock.instant().plusSeconds(1);
    for (int i = -1; i <= 1; i++) {
      store.create(Made.run("r" + i, "alice", i));
      clock.pass(Duration.ofSeconds(1));
    }

    assertThat(listed(Optional.empty(), new PriorityTerm(comparison, 0)))
        .containsExactlyInAnyOrderElementsOf(expected);
    assertThat(listed(Optional.empty(), new CreatedTerm(comparison, middle)))
        .containsExactlyInAnyOrderElementsOf(expected);
  }

  @Test
  void shouldFilterByStatusOwnerAndAllTermsTogether() {
    at("a", RunStatus.RUNNING);
    create("b");
    store.create(Made.run("c", "bob", 0));

    assertThat(listed(Optional.empty(), new StatusTerm(true, RunStatus.RUNNING)))
        .containsExactly("a");
    assertThat(
            listed(
                Optional.empty(),
                new StatusTerm(false, RunStatus.RUNNING),
                new TextTerm(TextField.OWNER, true, "ali*")))
        .containsExactly("b");
  }

  @Test
  void shouldListWithoutSpecifications() {
    create("a");

    assertThat(store.list(new RunQuery(Optional.empty(), List.of(), Optional.empty(), 1)))
        .extracting(StoredRun::specification)
        .containsExactly("");
    assertThat(store.queue(EnumSet.allOf(RunStatus.class)))
        .extracting(StoredRun::specification)
        .containsExactly("");
  }

  @Test
  void shouldCountTheRunsThatHaveNotEnded() {
    int number = 0;
    for (RunStatus status : RunStatus.values()) {
      at("r" + number++, status);
    }

    assertThat(store.active("alice")).isEqualTo(3);
    assertThat(store.active("bob")).isZero();
  }

  @Test
  void shouldQueueByStatus() {
    at("running", RunStatus.RUNNING);
    at("paused", RunStatus.PAUSED);
    create("waiting");

    assertThat(store.queue(EnumSet.of(RunStatus.PAUSED, RunStatus.WAITING)))
        .extracting(StoredRun::id)
        .containsExactlyInAnyOrder("paused", "waiting");
    assertThat(store.queue(Set.of())).isEmpty();
  }

  // -------------------------------------------------------------------------------- all the rest

  @Test
  void shouldForgetAllThatBelongsToARun() throws SQLException {
    Claim claim = running("a");
    RunJournal journal = claim.journal();
    journal.commit(Made.state(0), List.of(Made.event(1)));
    journal.answered(ROUND, 0, Made.score(1), "");
    journal.checkpointed(
        new Checkpoint(Made.state(0), "checkpoints/1", 10), new RunEvent.Checkpointed(1, 10, 0.5));
    store.release(claim, Made.end(RunStatus.DONE));
    create("b");

    store.delete("a");

    assertThat(count("run")).isEqualTo(1);
    assertThat(count("event")).isEqualTo(1);
    assertThat(count("specification")).isEqualTo(1);
    for (String table : List.of("run_state", "reward_answer", "checkpoint")) {
      assertThat(count(table)).as(table).isZero();
    }
  }

  @Test
  void shouldKeepTimesAcrossTheHourThatSummerTimeRepeats() {
    Instant autumn = Instant.parse("2026-10-25T00:30:00Z");
    for (int hour = 0; hour < 3; hour++) {
      Instant time = autumn.plus(Duration.ofHours(hour));
      store.audit(new AuditEntry(time, "alice", "peer", "CreateRun", "a", "OK"));
    }

    assertThat(store.audited(10))
        .extracting(AuditEntry::time)
        .containsExactly(
            autumn.plus(Duration.ofHours(2)), autumn.plus(Duration.ofHours(1)), autumn);
  }

  @Test
  void shouldShowTheNewestAuditEntriesFirst() {
    List<AuditEntry> entries =
        IntStream.range(0, 3)
            .mapToObj(
                i -> new AuditEntry(clock.instant(), "alice", "[::1]", "CreateRun", "r" + i, "OK"))
            .toList();

    entries.forEach(store::audit);

    assertThat(store.audited(2)).containsExactly(entries.get(2), entries.get(1));
  }

  @Test
  void shouldProbe() {
    store.probe();
  }

  @Test
  void shouldOpenTheSameDatabaseAgain() {
    create("a");

    try (OpenStore again = OpenStore.open(database.properties(), clock)) {
      assertThat(again.store().find("a")).isPresent();
    }
  }

  @Test
  void shouldBringTablesUpToDateThatWereHalfMadeWhenSomebodyWasKilled() throws SQLException {
    create("a");
    sql("drop table scheduled_tasks");
    sql("delete from flyway_schema_history where version is not null");

    try (OpenStore again = OpenStore.open(database.properties(), clock)) {
      assertThat(again.store().find("a")).isPresent();
    }
    assertThat(count("scheduled_tasks")).isZero();
  }

  @Test
  void shouldRefuseTablesOfANewerProgram() throws SQLException {
    sql(
        "insert into flyway_schema_history (installed_rank, version, description, type, script,"
            + " checksum, installed_by, execution_time, success) values (99, '"
            + (Schema.VERSION + 1)
            + "', 'later', 'SQL', 'V2__later.sql', 1, 'somebody', 1, true)");
    try {
      assertThatThrownBy(() -> OpenStore.open(database.properties(), clock).close())
          .isInstanceOfSatisfying(
              StoreException.class, e -> assertThat(e.kind()).isEqualTo(Kind.UNUSABLE))
          .hasMessageContaining("newer vard")
          .hasMessageContaining("upgrade vard");
    } finally {
      sql("delete from flyway_schema_history where installed_rank = 99");
    }
  }
}
