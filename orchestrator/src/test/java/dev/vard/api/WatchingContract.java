package dev.vard.api;

import static dev.vard.api.ApiFixture.STREAMS;
import static dev.vard.api.ApiFixture.STREAMS_PER_OWNER;
import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.run.RunStatus;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Streams of events. */
abstract class WatchingContract extends ApiBehaviour {
  WatchingContract(ApiFixture fixture) {
    super(fixture);
  }

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
}
