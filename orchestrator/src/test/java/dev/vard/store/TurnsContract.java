package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.run.RunStatus;
import java.time.Duration;
import java.util.EnumSet;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

/** Who comes next. */
abstract class TurnsContract extends StoreBehaviour {
  TurnsContract(StoreFixture fixture) {
    super(fixture);
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
}
