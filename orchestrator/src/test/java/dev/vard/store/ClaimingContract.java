package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.run.FencedException;
import dev.vard.run.RunEnd;
import dev.vard.run.RunStatus;
import dev.vard.store.RunStore.Claim;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** An orchestrator takes a run, and lets it go. */
abstract class ClaimingContract extends StoreBehaviour {
  ClaimingContract(StoreFixture fixture) {
    super(fixture);
  }

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
}
