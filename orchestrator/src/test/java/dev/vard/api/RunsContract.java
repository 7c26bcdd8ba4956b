package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.run.RunStatus;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/** Runs are made, listed, cancelled, resumed and deleted. */
abstract class RunsContract extends ApiBehaviour {
  RunsContract(ApiFixture fixture) {
    super(fixture);
  }

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

  @Test
  void shouldNotKnowARunThatIsNotThere() {
    refusesAll("NOT_FOUND", alice, "nowhere");
  }
}
