package dev.vard.algorithm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.vard.spec.AlgorithmSpec;
import dev.vard.spec.EvaluateSpec;
import dev.vard.spec.KlSpec;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.OptionalDouble;
import org.assertj.core.util.DoubleComparator;
import org.junit.jupiter.api.Test;

class DdpoTest {
  private static Ddpo ddpo(int iterations, int samples, List<String> prompts) {
    return (Ddpo)
        Algorithm.of(Specs.run(Specs.ddpo(iterations, samples), prompts, new EvaluateSpec(100, 2)));
  }

  @Test
  void shouldGoThroughTwoIterationsStepByStep() {
    Ddpo ddpo = ddpo(2, 2, List.of("a"));
    Drive<DdpoState> drive = Drive.of(ddpo, Drive.world(ddpo, t -> t.seed() * 1.0, 3));

    assertThat(
            drive.actions().stream().map(a -> a.iteration() + " " + a.getClass().getSimpleName()))
        .containsExactly(
            "0 Evaluate",
            "1 Collect",
            "1 Score",
            "1 ImprovePolicy",
            "1 Release",
            "2 Collect",
            "2 Score",
            "2 ImprovePolicy",
            "2 Release",
            "2 Evaluate",
            "2 Finish");
    assertThat(
            drive.actions().stream()
                .filter(Action.Change.class::isInstance)
                .map(a -> ((Action.Change) a).operation()))
        .containsExactly(1L, 2L, 3L, 4L, 5L, 6L);
    assertThat(drive.all(Action.Release.class).getFirst().trajectoryIds())
        .containsExactly("1-0", "1-1");
    assertThat(drive.states().getLast().progress().rewardQueries()).isEqualTo(4);
  }

  @Test
  void shouldNormaliseByTheBatchWhileAPromptHasFewRewards() {
    // 1, 2, 3, 6: mean 3, deviation √(14 / 4).
    assertThat(advantages(List.of("a"), List.of(List.of(1.0, 2.0, 3.0, 6.0))).getFirst())
        .usingElementComparator(new DoubleComparator(1e-12))
        .containsExactly(-2 / Math.sqrt(3.5), -1 / Math.sqrt(3.5), 0.0, 3 / Math.sqrt(3.5));
  }

  @Test
  void shouldNormaliseByThePromptsOwnRewardsOnceThereAreSixteen() {
    // Fifteen zeros and a 16: mean 1, deviation √15.
    List<Double> rewards = new ArrayList<>(Collections.nCopies(15, 0.0));
    rewards.add(16.0);

    List<Double> own = advantages(List.of("a"), List.of(rewards)).getFirst();

    assertThat(own.getFirst()).isEqualTo(-1 / Math.sqrt(15), within(1e-12));
    assertThat(own.getLast()).isEqualTo(Math.sqrt(15), within(1e-12));
  }

  @Test
  void shouldRememberThirtyTwoRewardsOfAPrompt() {
    List<List<Double>> rounds =
        List.of(Collections.nCopies(16, 1000.0), alternating(16), alternating(16));

    // The thousands are forgotten: what is left is ±1, mean 0, deviation 1.
    assertThat(advantages(List.of("a"), rounds).get(2)).containsOnly(-1.0, 1.0);
  }

  private static List<Double> alternating(int count) {
    List<Double> values = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      values.add(i % 2 == 0 ? 1.0 : -1.0);
    }
    return values;
  }

  @Test
  void shouldClipAdvantages() {
    List<Double> rewards = new ArrayList<>(Collections.nCopies(63, 0.0));
    rewards.add(64.0);

    // Of the last 32 rewards, one stands out by √31 deviations.
    assertThat(advantages(List.of("a"), List.of(rewards)).getFirst().getLast()).isEqualTo(5.0);
  }

  @Test
  void shouldKeepPromptsApart() {
    // Two prompts, one with rewards ten times the other's: each is judged by its own.
    Ddpo ddpo = ddpo(1, 64, List.of("a", "b"));
    Drive<DdpoState> drive =
        Drive.of(
            ddpo,
            Drive.world(
                ddpo,
                t ->
                    (t.prompt().equals("a") ? 1.0 : 10.0)
                        * (Integer.parseInt(t.id().split("-")[1]) / 2 % 2 == 0 ? 1 : -1),
                3));

    assertThat(advantagesOf(drive).getFirst())
        .allSatisfy(advantage -> assertThat(Math.abs(advantage)).isEqualTo(1.0, within(1e-12)));
  }

  @Test
  void shouldLeaveOutWhatWasDropped() {
    Ddpo ddpo = ddpo(1, 4, List.of("a"));

    Drive<DdpoState> drive =
        Drive.of(
            ddpo, Drive.world(ddpo, t -> t.id().equals("1-1") ? Double.NaN : indexOf(t) * 1.0, 3));

    // 0, 2, 3: mean 5/3, deviation √(14/9).
    Action.ImprovePolicy improve = drive.all(Action.ImprovePolicy.class).getFirst();
    assertThat(improve.trajectoryIds()).containsExactly("1-0", "1-2", "1-3");
    assertThat(advantagesOf(drive).getFirst())
        .usingElementComparator(new DoubleComparator(1e-12))
        .containsExactly(
            -5 / 3.0 / Math.sqrt(14 / 9.0),
            1 / 3.0 / Math.sqrt(14 / 9.0),
            4 / 3.0 / Math.sqrt(14 / 9.0));
    assertThat(drive.all(Action.Release.class).getFirst().trajectoryIds())
        .containsExactly("1-0", "1-1", "1-2", "1-3");
  }

  private static int indexOf(Trajectory trajectory) {
    return Integer.parseInt(trajectory.id().split("-")[1]);
  }

  @Test
  void shouldTakeRewardsLate() {
    Ddpo ddpo =
        (Ddpo)
            Algorithm.of(
                Specs.run(
                    new AlgorithmSpec.DdpoSpec(
                        3, 2, 1, Specs.POLICY, new KlSpec.KlWeight(0), 1.0e-4, 5.0),
                    List.of("a"),
                    new EvaluateSpec(100, 2)));

    assertThat(
            Drive.of(ddpo, Drive.world(ddpo, t -> t.seed() * 1.0, 3)).actions().stream()
                .map(a -> a.iteration() + " " + a.getClass().getSimpleName() + ids(a)))
        .containsExactly(
            "0 Evaluate",
            "1 Collect",
            "2 Collect",
            "2 Score",
            "2 ImprovePolicy 1-0 1-1",
            "2 Release 1-0 1-1",
            "3 Collect",
            "3 Score",
            "3 Score",
            "3 ImprovePolicy 2-0 2-1 3-0 3-1",
            "3 Release 2-0 2-1 3-0 3-1",
            "3 Evaluate",
            "3 Finish");
  }

  private static String ids(Action action) {
    return switch (action) {
      case Action.ImprovePolicy improve -> " " + String.join(" ", improve.trajectoryIds());
      case Action.Release release -> " " + String.join(" ", release.trajectoryIds());
      case Action other -> "";
    };
  }

  /** The advantages of each round, given its rewards. */
  private static List<List<Double>> advantages(List<String> prompts, List<List<Double>> rounds) {
    Ddpo ddpo = ddpo(rounds.size(), rounds.getFirst().size(), prompts);
    return advantagesOf(
        Drive.of(
            ddpo,
            action ->
                action instanceof Action.Score score
                    ? new Outcome.Rewarded(
                        rounds.get(score.round() - 1).stream().map(OptionalDouble::of).toList())
                    : Drive.world(ddpo, t -> 0.0, 3).apply(action)));
  }

  private static List<List<Double>> advantagesOf(Drive<DdpoState> drive) {
    return drive.all(Action.ImprovePolicy.class).stream()
        .map(action -> action.objective().series().get("advantage"))
        .toList();
  }
}
