package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.run.RunStatus;
import dev.vard.store.RunQuery.Comparison;
import dev.vard.store.RunQuery.CreatedTerm;
import dev.vard.store.RunQuery.Place;
import dev.vard.store.RunQuery.PriorityTerm;
import dev.vard.store.RunQuery.StatusTerm;
import dev.vard.store.RunQuery.Term;
import dev.vard.store.RunQuery.TextField;
import dev.vard.store.RunQuery.TextTerm;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Runs are looked for. */
abstract class ListingContract extends StoreBehaviour {
  ListingContract(StoreFixture fixture) {
    super(fixture);
  }

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
}
