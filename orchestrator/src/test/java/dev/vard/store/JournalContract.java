package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import dev.vard.reward.Answer;
import dev.vard.run.Checkpoint;
import dev.vard.run.FencedException;
import dev.vard.run.Round;
import dev.vard.run.RunEvent;
import dev.vard.run.RunJournal;
import dev.vard.run.RunState;
import dev.vard.run.RunStatus;
import dev.vard.store.RunStore.Claim;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

/** What a run writes down while it goes on, and who may write. */
abstract class JournalContract extends StoreBehaviour {
  JournalContract(StoreFixture fixture) {
    super(fixture);
  }

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
}
