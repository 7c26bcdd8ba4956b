package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.run.RunStatus;
import dev.vard.store.RunStore.Claim;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Somebody wants a run to stop. */
abstract class CancellingContract extends StoreBehaviour {
  CancellingContract(StoreFixture fixture) {
    super(fixture);
  }

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
}
