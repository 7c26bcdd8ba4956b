package dev.vard.algorithm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.vard.spec.KlSpec;
import java.util.List;
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
    assertThat(fixed.next(fixed.start(), List.of(1000.0)).weight()).isEqualTo(0.3);
  }

  @Test
  void shouldKeepTheWeightOfAKlThatStaysWhereItShould() {
    KlState state = new KlState(0.05, AIM);

    assertThat(controller.next(state, List.of(AIM)).weight()).isEqualTo(0.05, within(1e-15));
  }

  @Test
  void shouldMoveTheWeightByAPowerOfTheError() {
    assertThat(controller.next(new KlState(0.05, AIM), List.of(1.44 * AIM)).weight())
        .isEqualTo(0.05 * Math.pow(1.44, KlController.EXPONENT), within(1e-15));
    assertThat(controller.next(new KlState(0.05, AIM), List.of(0.81 * AIM)).weight())
        .isEqualTo(0.05 * Math.pow(0.81, KlController.EXPONENT), within(1e-15));
  }

  @Test
  void shouldWaitWhileAYoungPolicyIsStillOnItsWay() {
    KlState young = new KlState(0.05, 0.1 * AIM);

    assertThat(controller.next(young, List.of(0.3 * AIM))).isEqualTo(new KlState(0.05, 0.3 * AIM));
  }

  @Test
  void shouldJudgeAPhaseByItsSecondHalf() {
    KlState state = new KlState(0.05, AIM);

    assertThat(controller.next(state, List.of(0.0, 900.0, AIM - 1, AIM + 1)))
        .isEqualTo(controller.next(state, List.of(AIM)));
  }

  @Test
  void shouldRaiseQuicklyAndLowerSlowly() {
    KlState state = new KlState(0.05, AIM);

    assertThat(controller.next(state, List.of(1.0e9)).weight())
        .isEqualTo(0.05 * KlController.MOST_RISE);
    assertThat(controller.next(state, List.of(0.0)).weight())
        .isEqualTo(0.05 / KlController.MOST_FALL);
  }

  @Test
  void shouldBoundTheWeight() {
    KlState state = controller.start();
    for (int i = 0; i < 100; i++) {
      state = controller.next(state, List.of(0.0));
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
      state = other.next(state, List.of(kl));
    }

    assertThat(kl).isCloseTo(KlController.AIM * budget, within(0.02 * budget));
  }
}
