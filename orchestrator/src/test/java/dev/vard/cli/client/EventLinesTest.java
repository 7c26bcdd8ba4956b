package dev.vard.cli.client;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.Timestamp;
import dev.vard.proto.v1.Checkpointed;
import dev.vard.proto.v1.Interval;
import dev.vard.proto.v1.IterationFinished;
import dev.vard.proto.v1.PhaseSeconds;
import dev.vard.proto.v1.PolicyMetrics;
import dev.vard.proto.v1.Recovered;
import dev.vard.proto.v1.Run;
import dev.vard.proto.v1.RunEvaluated;
import dev.vard.proto.v1.RunEvent;
import dev.vard.proto.v1.RunFinished;
import dev.vard.proto.v1.RunStarted;
import dev.vard.proto.v1.StateChanged;
import dev.vard.proto.v1.Warned;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import org.junit.jupiter.api.Test;

class EventLinesTest {
  private static final Instant NOW = Instant.parse("2026-03-01T10:20:30Z");

  private final EventLines lines =
      new EventLines(
          Run.newBuilder().setIterations(4).build(), new Times(Clock.fixed(NOW, ZoneOffset.UTC)));

  private String line(RunEvent.Builder event) {
    return lines.line(
        event
            .setSequence(7)
            .setTime(Timestamp.newBuilder().setSeconds(NOW.getEpochSecond()))
            .build());
  }

  private static RunEvent.Builder started() {
    return RunEvent.newBuilder()
        .setStarted(
            RunStarted.newBuilder()
                .setRunId("emoji-1")
                .setAlgorithm("vard")
                .setSeed(-1)
                .setIterations(4)
                .setSamples(32)
                .setEvaluations(2)
                .setEvaluationImages(64)
                .setKlBudget(60));
  }

  private static Interval interval(double mean) {
    return Interval.newBuilder().setMean(mean).setLow(mean - 0.05).setHigh(mean + 0.05).build();
  }

  private static RunEvent.Builder iteration(int k) {
    return RunEvent.newBuilder()
        .setIteration(
            IterationFinished.newBuilder()
                .setIteration(k)
                .setPhase("train")
                .setRewardQueries(32 * k)
                .setReward(interval(-1.2))
                .setPolicy(PolicyMetrics.newBuilder().setKlPerTrajectory(4.6))
                .setSeconds(PhaseSeconds.newBuilder().setTotal(20)));
  }

  @Test
  void shouldTellHowARunIsSetUp() {
    assertThat(line(started()))
        .isEqualTo(
            "10:20:30  #7     emoji-1: vard, 4 iterations of 32 samples, 2 evaluations of 64"
                + " images, seed 18446744073709551615");
  }

  @Test
  void shouldTellAnEvaluation() {
    line(started());

    assertThat(
            line(
                RunEvent.newBuilder()
                    .setEvaluated(RunEvaluated.newBuilder().setReward(interval(-1.355)))))
        .endsWith(
            "evaluation 0/4  reward -1.355  KL 0.0/60 nats  queries 0  95 % -1.405 to -1.305");
  }

  @Test
  void shouldTellAnIterationAndTheTimeLeft() {
    line(started());

    assertThat(line(iteration(2)))
        .endsWith(
            "iteration 2/4 train  reward -1.200  KL 4.6/60 nats  queries 64  took 20.0 s  left"
                + " about 40.0 s");
  }

  @Test
  void shouldTellAnIterationWithoutHavingSeenTheStart() {
    assertThat(line(iteration(4)))
        .endsWith("iteration 4/4 train  reward -1.200  KL 4.6 nats  queries 128  took 20.0 s");
  }

  @Test
  void shouldTellACheckpoint() {
    assertThat(
            line(
                RunEvent.newBuilder()
                    .setCheckpointed(
                        Checkpointed.newBuilder()
                            .setIteration(2)
                            .setBytes(12_345_678)
                            .setSeconds(0.4))))
        .endsWith("checkpoint 2/4  12.3 MB in 0.4 s");
  }

  @Test
  void shouldTellWhatWasLost() {
    assertThat(
            line(
                RunEvent.newBuilder()
                    .setRecovered(
                        Recovered.newBuilder()
                            .setIteration(2)
                            .setReasonCode("WORKER_UNAVAILABLE")
                            .setReason("the worker has ended"))))
        .endsWith("goes on from iteration 2: WORKER_UNAVAILABLE: the worker has ended");
  }

  @Test
  void shouldTellThatARunBeginsAnew() {
    assertThat(
            line(
                RunEvent.newBuilder()
                    .setRecovered(Recovered.newBuilder().setReasonCode("RESTARTED"))))
        .endsWith("goes on from its start: RESTARTED");
  }

  @Test
  void shouldTellAWarning() {
    assertThat(
            line(
                RunEvent.newBuilder()
                    .setWarned(
                        Warned.newBuilder()
                            .setIteration(2)
                            .setCode("REWARD_CONSTANT")
                            .setMessage("all scores are 1"))))
        .endsWith("warning: REWARD_CONSTANT: all scores are 1");
  }

  @Test
  void shouldTellTheEnd() {
    assertThat(
            line(
                RunEvent.newBuilder()
                    .setFinished(
                        RunFinished.newBuilder()
                            .setRewardBefore(interval(-1.355))
                            .setRewardAfter(interval(-1.02))
                            .setKlPerTrajectory(45)
                            .setRewardQueries(512)
                            .setEvaluationQueries(128)
                            .setSeconds(PhaseSeconds.newBuilder().setTotal(182)))))
        .endsWith(
            "finished  reward -1.355 -> -1.020  KL 45.0 nats  queries 512 for training, 128 for"
                + " evaluation  took 3 min 02 s");
  }

  @Test
  void shouldTellWhereARunMoved() {
    assertThat(
            line(
                RunEvent.newBuilder()
                    .setStateChanged(
                        StateChanged.newBuilder()
                            .setTo(Run.State.FAILED)
                            .setReasonCode("REWARD_FAILED")
                            .setReason("the reward answered NaN"))))
        .endsWith("failed: REWARD_FAILED: the reward answered NaN");
  }

  @Test
  void shouldNotSayTwiceThatARunWasCancelled() {
    assertThat(
            line(
                RunEvent.newBuilder()
                    .setStateChanged(
                        StateChanged.newBuilder()
                            .setTo(Run.State.CANCELLED)
                            .setReasonCode("CANCELLED")
                            .setReason("told to stop"))))
        .endsWith("     cancelled: told to stop");
  }

  @Test
  void shouldNotStumbleOverWhatANewerServerTells() {
    assertThat(line(RunEvent.newBuilder()))
        .endsWith("something that this version of vard does not know");
  }
}
