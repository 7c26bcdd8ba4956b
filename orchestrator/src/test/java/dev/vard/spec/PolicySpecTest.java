package dev.vard.spec;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class PolicySpecTest {

  @Test
  void shouldLetTheLearningRateFallLinearlyToItsShare() {
    PolicySpec policy = new PolicySpec(10, 32, 1.0e-3, 0.1, 1.0);

    assertThat(policy.learningRate(3, 3, 13)).isEqualTo(1.0e-3, within(1e-18));
    assertThat(policy.learningRate(8, 3, 13)).isEqualTo(5.5e-4, within(1e-18));
    assertThat(policy.learningRate(13, 3, 13)).isEqualTo(1.0e-4, within(1e-18));
  }

  @Test
  void shouldKeepTheLearningRateOfARunWithOneTrainingIteration() {
    assertThat(new PolicySpec(10, 32, 1.0e-3, 0.1, 1.0).learningRate(3, 3, 3)).isEqualTo(1.0e-3);
  }
}
