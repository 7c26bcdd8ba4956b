package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.run.RunStatus;
import dev.vard.store.StoreException.Kind;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** A run is asked for. */
abstract class CreatingContract extends StoreBehaviour {
  CreatingContract(StoreFixture fixture) {
    super(fixture);
  }

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
}
