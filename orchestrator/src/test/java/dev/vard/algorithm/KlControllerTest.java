package dev.vard.algorithm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.vard.spec.EvaluateSpec;
import dev.vard.spec.KlSpec;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class KlControllerTest {
  private static final double BUDGET = 10;
  private static final double AIM = KlController.AIM * BUDGET;

  private final KlController controller = new KlController(new KlSpec.KlBudget(BUDGET));

  @Test
  void shouldLeaveAFixedWeightAlone() {
    KlController fixed = new KlController(new KlSpec.KlWeight(0.3));

    assertThat(fixed.start().weight()).isEqualTo(0.3);
    assertThat(fixed.next(fixed.start(), estimated(1000.0)).weight()).isEqualTo(0.3);
  }

  @Test
  void shouldKeepTheWeightOfAKlThatStaysWhereItShould() {
    KlState state = new KlState(0.05, AIM);

    assertThat(controller.next(state, estimated(AIM)).weight()).isEqualTo(0.05, within(1e-15));
  }

  @Test
  void shouldMoveTheWeightByAPowerOfTheError() {
    assertThat(controller.next(new KlState(0.05, AIM), estimated(1.44 * AIM)).weight())
        .isEqualTo(0.05 * Math.pow(1.44, KlController.EXPONENT), within(1e-15));
    assertThat(controller.next(new KlState(0.05, AIM), estimated(0.81 * AIM)).weight())
        .isEqualTo(0.05 * Math.pow(0.81, KlController.EXPONENT), within(1e-15));
  }

  @Test
  void shouldWaitWhileAYoungPolicyIsStillOnItsWay() {
    KlState young = new KlState(0.05, 0.1 * AIM);

    assertThat(controller.next(young, estimated(0.3 * AIM)))
        .isEqualTo(new KlState(0.05, 0.3 * AIM));
  }

  @Test
  void shouldJudgeAPhaseByItsSecondHalf() {
    KlState state = new KlState(0.05, AIM);

    assertThat(controller.next(state, estimated(0.0, 900.0, AIM - 1, AIM + 1)))
        .isEqualTo(controller.next(state, estimated(AIM)));
  }

  @Test
  void shouldRaiseQuicklyAndLowerSlowly() {
    KlState state = new KlState(0.05, AIM);

    assertThat(controller.next(state, estimated(1.0e9)).weight())
        .isEqualTo(0.05 * KlController.MOST_RISE);
    assertThat(controller.next(state, estimated(0.0)).weight())
        .isEqualTo(0.05 / KlController.MOST_FALL);
  }

  @Test
  void shouldBoundTheWeight() {
    KlState state = controller.start();
    for (int i = 0; i < 100; i++) {
      state = controller.next(state, estimated(0.0));
    }

    assertThat(state.weight()).isEqualTo(KlController.LEAST_WEIGHT);
  }

  @ParameterizedTest
  @ValueSource(doubles = {10, 30, 60, 120})
  void shouldBringTheKlNearTheBudgetAndKeepItBelow(double budget) {
    // The optimum of reward minus η · KL moves the mean by 1/η, so its KL falls as 1/η²; the policy
    // goes a fifth of the
    // way in each iteration.
    KlController other = new KlController(new KlSpec.KlBudget(budget));
    KlState state = other.start();
    double shift = 0;
    double kl = 0;
    for (int i = 0; i < 200; i++) {
      shift += 0.2 * (1 / state.weight() - shift);
      kl = shift * shift / 2;
      state = other.next(state, estimated(kl));
    }

    assertThat(kl).isCloseTo(KlController.AIM * budget, within(0.02 * budget));
  }

  @Nested
  class Enforced {
    private static final int PROBES = 16;

    private final KlController enforced = new KlController(new KlSpec.KlBudget(BUDGET, PROBES));
    private final Schedule schedule =
        new Schedule(
            Specs.run(Specs.vard(3, 2, 1, 2), List.of("a", "b", "c"), new EvaluateSpec(3, 20)));

    @Test
    void shouldTakeTheWorkersWeightAndWhatWasMeasured() {
      Outcome.Improved phase =
          new Outcome.Improved(List.of(3.0), 0.07, List.of(12.0, 9.7), Map.of());

      assertThat(enforced.next(new KlState(0.04, 0), phase)).isEqualTo(new KlState(0.07, 9.7));
    }

    @Test
    void shouldLowerTheWeightOfAPolicyThatStaysFarBelow() {
      Outcome.Improved still = new Outcome.Improved(List.of(3.0), 0.07, List.of(3.0), Map.of());

      assertThat(enforced.next(new KlState(0.07, 3.0), still).weight())
          .isEqualTo(0.07 / KlController.MOST_FALL, within(1e-15));
      assertThat(enforced.next(new KlState(0.07, 1.0), still).weight()).isEqualTo(0.07);
    }

    @Test
    void shouldBeginWithLessCareThanWhereTheBudgetIsOnlyAimedAt() {
      assertThat(enforced.start().weight()).isLessThan(controller.start().weight() / 4);
    }

    @Test
    void shouldScaleUpTheLastPolicyAlone() {
      assertThat(enforced.budget(schedule, 2).orElseThrow().least()).isZero();
      assertThat(enforced.budget(schedule, 3).orElseThrow().least())
          .isBetween(0.9 * BUDGET, enforced.budget(schedule, 3).orElseThrow().aim());
    }

    @Test
    void shouldMeasureOnFreshTrajectoriesOfAllPrompts() {
      List<Trajectory> first = enforced.budget(schedule, 1).orElseThrow().probes();
      List<Trajectory> second = enforced.budget(schedule, 2).orElseThrow().probes();

      assertThat(first).hasSize(PROBES).doesNotContainAnyElementsOf(second);
      assertThat(second.getFirst().prompt()).isEqualTo("b");
      assertThat(first)
          .extracting(Trajectory::seed)
          .doesNotContainAnyElementsOf(
              schedule.training(1).stream().map(Trajectory::seed).toList());
    }

    @Test
    void shouldMeasureOnAsManyAsAnEvaluationThatFollows() {
      assertThat(enforced.budget(schedule, 3).orElseThrow().probes())
          .extracting(Trajectory::prompt)
          .isEqualTo(schedule.evaluation().stream().map(Trajectory::prompt).toList());
    }

    @Test
    void shouldHoldNothingWithoutProbes() {
      assertThat(controller.budget(schedule, 3)).isEmpty();
    }
  }

  private static Outcome.Improved estimated(Double... kls) {
    return new Outcome.Improved(List.of(kls), 99, List.of(), Map.of());
  }
}
