package dev.vard.cli.client;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.cli.ExitCode;
import dev.vard.proto.v1.Interval;
import dev.vard.proto.v1.IterationFinished;
import dev.vard.proto.v1.PhaseSeconds;
import dev.vard.proto.v1.Run;
import dev.vard.proto.v1.RunEvent;
import dev.vard.proto.v1.RunFinished;
import dev.vard.proto.v1.RunStarted;
import dev.vard.proto.v1.StateChanged;
import dev.vard.proto.v1.WatchRunRequest;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(60)
class WatchCommandTest {
  private static final String RUN = "runs/emoji-1";

  private FakeRunService service;
  private Vard vard;

  @BeforeEach
  void start() throws IOException {
    service = new FakeRunService();
    service.put(Run.newBuilder().setName(RUN).setIterations(9).build());
    vard = new Vard(service.address());
  }

  @AfterEach
  void end() {
    service.close();
  }

  private void iterations(int from, int to) {
    IntStream.rangeClosed(from, to)
        .mapToObj(
            k ->
                IterationFinished.newBuilder()
                    .setIteration(k)
                    .setPhase("train")
                    .setRewardQueries(32 * k)
                    .setReward(Interval.newBuilder().setMean(-1.2))
                    .setSeconds(PhaseSeconds.newBuilder().setTotal(10)))
        .forEach(iteration -> service.tell(RUN, RunEvent.newBuilder().setIteration(iteration)));
  }

  private List<Long> sequencesPrinted() throws IOException {
    List<Long> sequences = new ArrayList<>();
    for (String line : vard.lines()) {
      sequences.add(new ObjectMapper().readTree(line).get("sequence").asLong());
    }
    return sequences;
  }

  private static List<Long> upTo(long last) {
    return LongStream.rangeClosed(1, last).boxed().toList();
  }

  @Test
  void shouldPrintALineAnEvent() {
    service.tell(RUN, Run.State.RUNNING);
    service.tell(
        RUN,
        RunEvent.newBuilder()
            .setStarted(
                RunStarted.newBuilder()
                    .setRunId("emoji-1")
                    .setAlgorithm("vard")
                    .setIterations(9)
                    .setKlBudget(60)));
    iterations(1, 1);
    service.tell(RUN, Run.State.DONE);

    assertThat(vard.run("watch", "emoji-1")).isEqualTo(ExitCode.OK);

    assertThat(vard.lines()).hasSize(4);
    assertThat(vard.lines().get(2))
        .endsWith(
            "#3     iteration 1/9 train  reward -1.200  queries 32  took 10.0 s  left about 1 min"
                + " 20 s");
    assertThat(vard.err()).isEmpty();
  }

  @Test
  void shouldMissNothingAndDoubleNothingWhenTheStreamBreaksOffAgainAndAgain() throws IOException {
    iterations(1, 9);
    service.tell(RUN, Run.State.DONE);
    service.breakStreamsAfter(2);

    assertThat(vard.run("watch", RUN, "--json")).isEqualTo(ExitCode.OK);

    assertThat(sequencesPrinted()).isEqualTo(upTo(10));
    assertThat(service.requests(WatchRunRequest.class))
        .extracting(WatchRunRequest::getAfterSequence)
        .containsExactly(0L, 2L, 4L, 6L, 8L);
  }

  @Test
  void shouldGoOnWhenTheServerWasStartedAgain() throws Exception {
    CompletableFuture<Integer> watching =
        CompletableFuture.supplyAsync(() -> vard.run("watch", RUN, "--json"));
    service.awaitWatcher();

    service.stop();
    iterations(1, 3);
    service.startAgain();
    service.awaitWatcher();
    iterations(4, 4);
    service.tell(RUN, Run.State.DONE);

    assertThat(watching.get()).isEqualTo(ExitCode.OK);
    assertThat(sequencesPrinted()).isEqualTo(upTo(5));
    assertThat(vard.err()).contains("broke off").contains("trying again until it is back");
  }

  @Test
  void shouldBeginAfterAnEvent() throws IOException {
    iterations(1, 3);
    service.tell(RUN, Run.State.DONE);

    assertThat(vard.run("watch", RUN, "--after", "2", "--json")).isEqualTo(ExitCode.OK);

    assertThat(sequencesPrinted()).containsExactly(3L, 4L);
  }

  @ParameterizedTest
  @CsvSource({"DONE, 0", "FAILED, 1", "CANCELLED, 130"})
  void shouldEndAsTheRunDid(Run.State end, int code) {
    service.tell(RUN, end);

    assertThat(vard.run("watch", RUN)).isEqualTo(code);
  }

  @ParameterizedTest
  @CsvSource({"DONE, 0", "FAILED, 1", "CANCELLED, 130"})
  void shouldEndAsTheRunDidWhereNothingIsLeftToTell(Run.State end, int code) {
    service.tell(RUN, end);

    assertThat(vard.run("watch", RUN, "--after", "1")).isEqualTo(code);
  }

  @Test
  void shouldTakeTheLastWordOfARunThatWasDoneForItsEnd() {
    service.tell(RUN, RunEvent.newBuilder().setFinished(RunFinished.newBuilder().setIterations(9)));
    service.put(service.runs().getFirst().toBuilder().setState(Run.State.DONE).build());

    assertThat(vard.run("watch", RUN)).isEqualTo(ExitCode.OK);
  }

  @Test
  void shouldTellWhyARunPausesAndWatchOn() {
    service.tell(
        RUN,
        RunEvent.newBuilder()
            .setStateChanged(
                StateChanged.newBuilder()
                    .setTo(Run.State.PAUSED)
                    .setReasonCode("STORAGE")
                    .setReason("the disk is full:\nmake room")));
    service.tell(RUN, Run.State.WAITING);
    service.tell(RUN, Run.State.DONE);

    assertThat(vard.run("watch", RUN)).isEqualTo(ExitCode.OK);

    assertThat(vard.lines()).hasSize(3);
    assertThat(vard.lines().getFirst())
        .endsWith("#1     paused: STORAGE: the disk is full:; make room");
  }

  @Test
  void shouldNotWaitForAServerThatNeverAnswered() {
    service.close();

    assertThat(vard.run("watch", RUN)).isEqualTo(ExitCode.FAILED);

    assertThat(vard.err()).startsWith("vard: no server answers at " + service.address());
  }

  @Test
  void shouldNotWaitForARunThatIsNotThere() {
    assertThat(vard.run("watch", "other")).isEqualTo(ExitCode.FAILED);

    assertThat(vard.err().lines()).containsExactly("vard: there is no run runs/other");
  }
}
