package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.reward.RewardMetrics;
import dev.vard.run.PhaseSeconds;
import dev.vard.run.RunEvent;
import dev.vard.run.RunEvent.Phase;
import dev.vard.run.RunListener;
import dev.vard.statistics.Interval;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

class ConsoleProgressTest {
  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

  @Test
  void shouldPrintALineForEachIterationAndEvaluationWithoutATerminal() {
    try (ConsoleProgress progress = progress(false)) {
      tell(progress);
    }

    assertThat(printed().lines())
        .containsExactly(
            "emoji-1: vard, 4 iterations of 32 samples, 2 evaluations of 64 images, seed 7",
            "evaluation 0/4  reward -1.355  KL 0.0/60 nats  queries 0  95 % -1.405 to -1.305",
            "iteration 1/4 warmup  reward -1.340  KL 0.0/60 nats  queries 32  took 10.0 s  left"
                + " about 30.0 s",
            "iteration 2/4 train  reward -1.200  KL 4.6/60 nats  queries 64  took 20.0 s  left"
                + " about 30.0 s");
  }

  @Test
  void shouldPrintAWarning() {
    try (ConsoleProgress progress = progress(false)) {
      progress.onEvent(new RunEvent.Warned(2, "REWARD_CONSTANT", "all scores are 1"));
    }

    assertThat(printed().lines()).containsExactly("warning: REWARD_CONSTANT: all scores are 1");
  }

  @Test
  void shouldDrawOverOneLineOnATerminal() {
    try (ConsoleProgress progress = progress(true)) {
      tell(progress);
    }

    // Half of the iterations and of the evaluations, when it was closed.
    assertThat(printed())
        .contains("\r[============            ]  50 %")
        .contains("2/4 policy")
        .doesNotContain("iteration 1/4");
    assertThat(printed().strip()).doesNotContain("\n");
  }

  @Test
  void shouldPrintNothingMoreOnceClosed() {
    ConsoleProgress progress = progress(true);
    tell(progress);
    progress.close();
    String before = printed();

    progress.close();

    assertThat(printed()).isEqualTo(before);
  }

  @Test
  void shouldTellTheTimeLeftFromTheShareDone() {
    assertThat(ConsoleProgress.line(0.25, 0, Duration.ofSeconds(30), "3/16 policy", 200))
        .isEqualTo("[======                  ]  25 %  3/16 policy  left 1 min 30 s");
  }

  @Test
  void shouldCutTheLineToTheTerminal() {
    assertThat(ConsoleProgress.line(0.25, 0, Duration.ofSeconds(30), "3/16 policy", 40))
        .hasSize(40);
  }

  @Test
  void shouldNotGuessTheTimeLeftBeforeAnythingIsDone() {
    assertThat(ConsoleProgress.line(0, 0, Duration.ofSeconds(3), "0/16 open", 200))
        .doesNotContain("left");
  }

  @Test
  void shouldTellTheTimeLeftFromWhatThisLifeOfARunDid() {
    // 75 % were there before; the next 5 % took 30 s, and so the last 20 % take 2 minutes.
    assertThat(ConsoleProgress.line(0.8, 0.75, Duration.ofSeconds(30), "13/16 policy", 200))
        .endsWith("left 2 min 00 s");
    assertThat(ConsoleProgress.line(0.75, 0.75, Duration.ofSeconds(30), "13/16 open", 200))
        .doesNotContain("left");
  }

  @Test
  void shouldTellTheTimeLeftAfterAResumeByTheIterationsSince() {
    try (ConsoleProgress progress = progress(false)) {
      progress.onEvent(started());
      progress.onEvent(new RunEvent.PhaseStarted(0, Phase.OPEN));
      progress.onEvent(new RunEvent.PhaseStarted(3, Phase.SAMPLE));
      progress.onEvent(iteration(3, "train", -1.2, Optional.empty(), 10));
    }

    assertThat(printed()).contains("iteration 3/4", "left about 10.0 s");
  }

  @Test
  void shouldDrawAResumedRunWhereItIs() {
    try (ConsoleProgress progress = progress(true)) {
      progress.onEvent(started());
      progress.onEvent(new RunEvent.PhaseStarted(0, Phase.OPEN));
      progress.onEvent(new RunEvent.PhaseStarted(3, Phase.SAMPLE));
    }

    // Two of four iterations, and one of two evaluations.
    assertThat(printed()).contains(" 50 %").doesNotContain("left");
  }

  private static RunEvent started() {
    return new RunEvent.Started(
        "emoji-1",
        "emoji",
        "vard",
        7,
        4,
        32,
        2,
        64,
        OptionalDouble.of(60),
        Instant.EPOCH,
        Path.of("runs/emoji-1"));
  }

  private static void tell(RunListener listener) {
    listener.onEvent(started());
    listener.onEvent(new RunEvent.PhaseStarted(0, Phase.EVALUATE));
    listener.onEvent(new RunEvent.Progress(0, Phase.EVALUATE, 64, 64));
    listener.onEvent(
        new RunEvent.Evaluated(
            0,
            new Interval(-1.355, -1.405, -1.305),
            List.of(),
            0,
            List.of(),
            new RunEvent.SampleSeconds(6, 0, 1),
            RewardMetrics.NONE));
    listener.onEvent(iteration(1, "warmup", -1.34, Optional.empty(), 10));
    listener.onEvent(new RunEvent.PhaseStarted(2, Phase.SAMPLE));
    listener.onEvent(new RunEvent.Progress(2, Phase.SAMPLE, 16, 32));
    listener.onEvent(new RunEvent.PhaseStarted(2, Phase.POLICY));
    listener.onEvent(
        iteration(
            2,
            "train",
            -1.2,
            Optional.of(new RunEvent.PolicyMetrics(0, 4.6, 0.02, 1, Map.of())),
            20));
  }

  private static RunEvent iteration(
      int k, String phase, double reward, Optional<RunEvent.PolicyMetrics> policy, double seconds) {
    return new RunEvent.IterationFinished(
        k,
        phase,
        32 * k,
        new Interval(reward, reward, reward),
        Optional.empty(),
        policy,
        new PhaseSeconds(1, 0, 0, 1, 1, seconds),
        RewardMetrics.NONE);
  }

  private ConsoleProgress progress(boolean terminal) {
    return new ConsoleProgress(new PrintStream(bytes, true, StandardCharsets.UTF_8), terminal);
  }

  private String printed() {
    return bytes.toString(StandardCharsets.UTF_8);
  }
}
