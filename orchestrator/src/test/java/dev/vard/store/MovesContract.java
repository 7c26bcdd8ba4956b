package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.run.RunStatus;
import dev.vard.store.RunStore.Claim;
import dev.vard.store.StoreException.Kind;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What may become of a run. */
abstract class MovesContract extends StoreBehaviour {
  MovesContract(StoreFixture fixture) {
    super(fixture);
  }

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
}
