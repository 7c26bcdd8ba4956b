package dev.vard.algorithm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.vard.spec.KlSpec;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class KlControllerTest {

  @Test
  void shouldLeaveAFixedWeightAlone() {
    KlController controller = new KlController(new KlSpec.KlWeight(0.3));

    assertThat(controller.next(controller.start(), List.of(1000.0))).isEqualTo(0.3);
  }

  @Test
  void shouldKeepTheWeightOnBudget() {
    KlController controller = new KlController(new KlSpec.KlBudget(10));

    assertThat(controller.next(0.05, List.of(10.0))).isEqualTo(0.05, within(1e-15));
  }

  @Test
  void shouldJudgeAPhaseByItsSecondHalf() {
    KlController controller = new KlController(new KlSpec.KlBudget(10));

    assertThat(controller.next(0.05, List.of(0.0, 900.0, 9.0, 11.0))).isEqualTo(0.05, within(1e-15));
  }

  @Test
  void shouldBoundEachChange() {
    KlController controller = new KlController(new KlSpec.KlBudget(10));

    assertThat(controller.next(0.05, List.of(1.0e9))).isEqualTo(0.05 * KlController.MOST_CHANGE);
    assertThat(controller.next(0.05, List.of(0.0))).isEqualTo(0.05 / KlController.MOST_CHANGE);
  }

  @Test
  void shouldBoundTheWeight() {
    KlController controller = new KlController(new KlSpec.KlBudget(10));
    double weight = controller.start();
    for (int i = 0; i < 100; i++) {
      weight = controller.next(weight, List.of(0.0));
    }

    assertThat(weight).isEqualTo(KlController.LEAST_WEIGHT);
  }

  @ParameterizedTest
  @ValueSource(doubles = {10, 30, 60, 120})
  void shouldFindTheWeightThatHoldsTheBudget(double budget) {
    // The optimum of reward minus η · KL moves the mean by 1/η, so its KL falls as 1/η²; the policy goes half of the
    // way in each iteration.
    KlController controller = new KlController(new KlSpec.KlBudget(budget));
    double weight = controller.start();
    double shift = 0;
    double kl = 0;
    for (int i = 0; i < 200; i++) {
      shift += 0.5 * (1 / weight - shift);
      kl = shift * shift / 2;
      weight = controller.next(weight, List.of(kl));
    }

    assertThat(kl).isCloseTo(budget, within(0.05 * budget));
  }
}
