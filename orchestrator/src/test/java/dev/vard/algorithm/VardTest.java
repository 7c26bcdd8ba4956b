package dev.vard.algorithm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.vard.spec.EvaluateSpec;
import dev.vard.spec.RunSpec;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

class VardTest {
  /** Iteration k's i-th trajectory has the id "k-i". */
  private static int iterationOf(Trajectory trajectory) {
    return trajectory.id().startsWith("evaluation")
        ? 0
        : Integer.parseInt(trajectory.id().split("-")[0]);
  }

  private static int indexOf(Trajectory trajectory) {
    return Integer.parseInt(trajectory.id().split("-")[1]);
  }

  private static Drive<VardState> drive(int iterations, int warmup, int replay) {
    Vard vard = vard(iterations, warmup, replay, List.of("a", "b"), new EvaluateSpec(2, 3));
    return Drive.of(vard, Drive.world(vard, t -> 10.0 * iterationOf(t) + indexOf(t), 20));
  }

  private static Vard vard(
      int iterations, int warmup, int replay, List<String> prompts, EvaluateSpec evaluate) {
    return (Vard)
        Algorithm.of(Specs.run(Specs.vard(iterations, 2, warmup, replay), prompts, evaluate));
  }

  @Test
  void shouldGoThroughThreeIterationsStepByStep() {
    assertThat(drive(3, 1, 2).actions().stream().map(VardTest::summary))
        .containsExactly(
            "0 Evaluate evaluation-0 evaluation-1 evaluation-2",
            "1 Collect #1 1-0 1-1",
            "1 Score",
            "1 AssessValue 1-0 1-1",
            "1 FitValue #2 1-0 1-1",
            "2 Collect #3 2-0 2-1",
            "2 Score",
            "2 AssessValue 2-0 2-1",
            "2 FitValue #4 1-0 1-1 2-0 2-1",
            "2 ImprovePolicy #5 2-0 2-1",
            "2 Release #6 1-0 1-1",
            "2 Evaluate evaluation-0 evaluation-1 evaluation-2",
            "3 Collect #7 3-0 3-1",
            "3 Score",
            "3 AssessValue 3-0 3-1",
            "3 FitValue #8 2-0 2-1 3-0 3-1",
            "3 ImprovePolicy #9 3-0 3-1",
            "3 Release #10 2-0 2-1",
            "3 Evaluate evaluation-0 evaluation-1 evaluation-2",
            "3 Finish");
  }

  @Test
  void shouldFitAheadWhatIsScoredWhileNewScoresAreAwaited() {
    Drive<VardState> drive = drive(vardWith(3, 0, 1), t -> 1.0 * indexOf(t));

    assertThat(drive.actions().stream().map(VardTest::summary))
        .startsWith(
            "0 Evaluate evaluation-0 evaluation-1 evaluation-2",
            "1 Collect #1 1-0 1-1",
            "1 Score",
            "1 AssessValue 1-0 1-1",
            "1 FitValue #2 1-0 1-1",
            "2 Collect #3 2-0 2-1",
            "2 FitValue #4 1-0 1-1",
            "2 Score",
            "2 AssessValue 2-0 2-1",
            "2 FitValue #5 1-0 1-1 2-0 2-1");
    // Three steps in all, of other seeds.
    assertThat(drive.all(Action.FitValue.class).stream().map(Action.FitValue::steps))
        .containsExactly(3, 1, 2, 1, 2);
    assertThat(drive.all(Action.FitValue.class).stream().map(Action.FitValue::seed))
        .doesNotHaveDuplicates();
  }

  @Test
  void shouldTakeRewardsLate() {
    Drive<VardState> drive = drive(vardWith(4, 1, 0), t -> 1.0 * indexOf(t));

    assertThat(drive.actions().stream().map(VardTest::summary))
        .containsExactly(
            "0 Evaluate evaluation-0 evaluation-1 evaluation-2",
            "1 Collect #1 1-0 1-1",
            "2 Collect #2 2-0 2-1",
            "2 Score",
            "2 AssessValue 1-0 1-1",
            "2 FitValue #3 1-0 1-1",
            "2 Evaluate evaluation-0 evaluation-1 evaluation-2",
            "3 Collect #4 3-0 3-1",
            "3 Score",
            "3 AssessValue 2-0 2-1",
            "3 FitValue #5 1-0 1-1 2-0 2-1",
            "3 ImprovePolicy #6 3-0 3-1",
            "3 Release #7 1-0 1-1",
            "4 Collect #8 4-0 4-1",
            "4 Score",
            "4 Score",
            "4 AssessValue 3-0 3-1 4-0 4-1",
            "4 FitValue #9 2-0 2-1 3-0 3-1 4-0 4-1",
            "4 ImprovePolicy #10 4-0 4-1",
            "4 Release #11 2-0 2-1 3-0 3-1",
            "4 Evaluate evaluation-0 evaluation-1 evaluation-2",
            "4 Finish");
    assertThat(drive.states().getLast().progress().rewardQueries()).isEqualTo(8);
  }

  @Test
  void shouldLeaveOutWhatWasDropped() {
    Drive<VardState> drive =
        drive(
            vardWith(3, 0, 0),
            t -> t.id().equals("2-1") ? Double.NaN : 10.0 * iterationOf(t) + indexOf(t));

    assertThat(drive.actions().stream().map(VardTest::summary))
        .contains(
            "2 AssessValue 2-0",
            "2 FitValue #4 1-0 1-1 2-0",
            "2 ImprovePolicy #5 2-0",
            "3 FitValue #8 2-0 3-0 3-1",
            "3 Release #10 2-0 2-1");
  }

  @Test
  void shouldStopWhereTheBudgetEnds() {
    // 3 before training, 2 of each iteration, 3 of each second one and of the last: 3 + 2 + 2 + 3.
    RunSpec spec = Specs.run(Specs.vard(9, 2, 1, 2), List.of("a"), new EvaluateSpec(2, 3));
    for (int queries : new int[] {10, 14}) {
      Vard vard = (Vard) Algorithm.of(Specs.budget(spec, queries));
      assertThat(drive(vard, t -> 1.0 * indexOf(t)).actions().getLast().iteration()).isEqualTo(2);
    }
    Vard vard = (Vard) Algorithm.of(Specs.budget(spec, 15));
    Progress end = drive(vard, t -> 1.0 * indexOf(t)).states().getLast().progress();
    assertThat(end.iteration()).isEqualTo(3);
    assertThat(end.rewardQueries() + end.evaluationQueries()).isEqualTo(15);
  }

  private static Vard vardWith(int iterations, int staleness, int ahead) {
    return (Vard)
        Algorithm.of(
            Specs.run(
                Specs.vard(iterations, staleness, ahead),
                List.of("a", "b"),
                new EvaluateSpec(2, 3)));
  }

  private static Drive<VardState> drive(Vard vard, Function<Trajectory, Double> reward) {
    return Drive.of(vard, Drive.world(vard, reward, 20));
  }

  private static String summary(Action action) {
    String name = action.iteration() + " " + action.getClass().getSimpleName();
    String number = action instanceof Action.Change change ? " #" + change.operation() : "";
    List<String> ids =
        switch (action) {
          case Action.Evaluate evaluate ->
              evaluate.trajectories().stream().map(Trajectory::id).toList();
          case Action.Collect collect ->
              collect.trajectories().stream().map(Trajectory::id).toList();
          case Action.AssessValue assess ->
              assess.targets().stream().map(Target::trajectoryId).toList();
          case Action.FitValue fit -> fit.targets().stream().map(Target::trajectoryId).toList();
          case Action.ImprovePolicy improve -> improve.trajectoryIds();
          case Action.Release release -> release.trajectoryIds();
          case Action.Score score -> List.of();
          case Action.Finish finish -> List.of();
        };
    return name + number + (ids.isEmpty() ? "" : " " + String.join(" ", ids));
  }

  @Test
  void shouldAnswerTheSameForTheSameState() {
    Vard vard = vard(3, 1, 2, List.of("a"), new EvaluateSpec(1, 2));
    for (VardState state : Drive.of(vard, Drive.world(vard, t -> 1.0 * indexOf(t), 3)).states()) {
      assertThat(vard(3, 1, 2, List.of("a"), new EvaluateSpec(1, 2)).action(state))
          .isEqualTo(vard.action(state));
    }
  }

  @Test
  void shouldCountQueries() {
    Progress end = drive(3, 1, 2).states().getLast().progress();

    assertThat(end.rewardQueries()).isEqualTo(3 * 2);
    assertThat(end.evaluationQueries()).isEqualTo(3 * 3);
    assertThat(end.operation()).isEqualTo(10);
  }

  @Test
  void shouldFixTheRewardsScaleByTheWarmUp() {
    // Warm-up rewards 10, 11, 20, 21: mean 15.5, deviation √25.25.
    double deviation = Math.sqrt(25.25);

    List<Action.FitValue> fits = drive(4, 2, 9).all(Action.FitValue.class);

    assertThat(values(fits.get(0))).containsExactly(-1.0, 1.0); // so far: mean 10.5, deviation 0.5
    for (Action.FitValue fit : fits.subList(1, 4)) {
      assertThat(fit.targets())
          .allSatisfy(
              target -> {
                String[] id = target.trajectoryId().split("-");
                double reward = 10 * Integer.parseInt(id[0]) + Integer.parseInt(id[1]);
                assertThat(target.value()).isEqualTo((reward - 15.5) / deviation, within(1e-12));
              });
    }
  }

  @Test
  void shouldFixTheScaleByTheFirstIterationWithoutAWarmUp() {
    List<Action.FitValue> fits = drive(2, 0, 1).all(Action.FitValue.class);

    assertThat(values(fits.get(1))).containsExactly((20 - 10.5) / 0.5, (21 - 10.5) / 0.5);
  }

  @Test
  void shouldOnlyCentreRewardsThatAreAllEqual() {
    Vard vard = vard(2, 1, 2, List.of("a"), new EvaluateSpec(1, 2));

    List<Action.FitValue> fits =
        Drive.of(vard, Drive.world(vard, t -> 4.0, 3)).all(Action.FitValue.class);

    assertThat(values(fits.get(1))).containsOnly(0.0);
  }

  private static List<Double> values(Action.FitValue fit) {
    return fit.targets().stream().map(Target::value).toList();
  }

  @Test
  void shouldHoldOnTheWorkerWhatTheReplayNeedsAndNoMore() {
    Drive<VardState> drive = drive(6, 1, 3);

    assertThat(drive.all(Action.FitValue.class).stream().map(fit -> fit.targets().size()))
        .containsExactly(2, 4, 6, 6, 6, 6);
    assertThat(drive.states()).allSatisfy(s -> assertThat(s.window()).hasSizeLessThanOrEqualTo(6));
  }

  @Test
  void shouldForgetEverythingAfterEachIterationWithoutReplay() {
    assertThat(drive(3, 1, 1).all(Action.Release.class).stream().map(Action.Release::trajectoryIds))
        .containsExactly(List.of("1-0", "1-1"), List.of("2-0", "2-1"), List.of("3-0", "3-1"));
  }

  @Test
  void shouldEvaluateBeforeTrainingWhenDueAndAtTheEnd() {
    assertThat(drive(5, 1, 2).all(Action.Evaluate.class).stream().map(Action.Evaluate::iteration))
        .containsExactly(0, 2, 4, 5);
    assertThat(drive(4, 1, 2).all(Action.Evaluate.class).stream().map(Action.Evaluate::iteration))
        .containsExactly(0, 2, 4);
  }

  @Test
  void shouldRaiseTheWeightWhileTheKlIsAboveItsBudget() {
    // Budget 10; 20 is measured in the second half of each phase.
    assertThat(
            drive(4, 1, 2).all(Action.ImprovePolicy.class).stream()
                .map(Action.ImprovePolicy::klWeight))
        .containsExactly(0.2, 0.2 * 1.5, 0.2 * 1.5 * 1.5);
  }

  @Test
  void shouldNotLetNaNIn() {
    assertThatThrownBy(() -> new Outcome.Rewarded(List.of(OptionalDouble.of(Double.NaN))))
        .isInstanceOf(NotFiniteException.class)
        .hasMessage("a reward became NaN");
    assertThatThrownBy(
            () ->
                new Outcome.Improved(List.of(Double.POSITIVE_INFINITY), 0.05, List.of(), Map.of()))
        .isInstanceOf(NotFiniteException.class);
  }

  @Test
  void shouldRefuseAnOutcomeOfAnotherAction() {
    Vard vard = vard(3, 1, 2, List.of("a"), new EvaluateSpec(1, 2));

    assertThatThrownBy(() -> vard.next(vard.start(), new Outcome.Fitted()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("EVALUATE");
  }

  @Test
  void shouldRefuseTooFewRewards() {
    Vard vard = vard(3, 1, 2, List.of("a"), new EvaluateSpec(1, 2));
    VardState collecting =
        vard.next(vard.start(), new Outcome.Evaluated(List.of(OptionalDouble.of(1))));
    VardState scoring = vard.next(collecting, new Outcome.Collected());

    assertThatThrownBy(
            () -> vard.next(scoring, new Outcome.Rewarded(List.of(OptionalDouble.of(1)))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("1 rewards for 2 trajectories");
  }
}
