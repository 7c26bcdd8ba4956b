package dev.vard.spec;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** How many iterations a budget of queries pays for. */
class AffordableTest {

  /** What so many iterations cost: their samples, and an evaluation before, between and after. */
  private static long cost(long iterations, int samples, EvaluateSpec evaluate) {
    long evaluations = 1 + Math.ceilDiv(iterations, (long) evaluate.every());
    return iterations * samples + evaluations * evaluate.images();
  }

  @Test
  void shouldPayForEachIterationExactlyFromItsCostOn() {
    for (int samples : new int[] {2, 3, 32}) {
      for (int every : new int[] {1, 2, 4, 100}) {
        for (int images : new int[] {2, 5, 64}) {
          EvaluateSpec evaluate = new EvaluateSpec(every, images);
          for (int iterations = 1; iterations < 230; iterations++) {
            long cost = cost(iterations, samples, evaluate);
            assertThat(RunSpec.affordable(OptionalLong.of(cost), samples, evaluate))
                .as("%d iterations of %d, %s", iterations, samples, evaluate)
                .isEqualTo(iterations);
            assertThat(RunSpec.affordable(OptionalLong.of(cost - 1), samples, evaluate))
                .as("one query less")
                .isEqualTo(iterations - 1);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {9_000_000_000_000_000_000L, Long.MAX_VALUE, 1L << 48})
  @Timeout(5)
  void shouldNotCountUpToABudgetWithoutEnd(long budget) {
    for (int samples : new int[] {2, 65_536}) {
      assertThat(RunSpec.affordable(OptionalLong.of(budget), samples, new EvaluateSpec(100_000, 2)))
          .isEqualTo(Integer.MAX_VALUE);
    }
  }

  @Test
  void shouldPayForNothingWithLessThanTheFirstEvaluation() {
    assertThat(RunSpec.affordable(OptionalLong.of(1), 2, new EvaluateSpec(1, 64))).isZero();
  }
}
