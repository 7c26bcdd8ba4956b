package dev.vard.statistics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

class IntervalTest {

  @Test
  void shouldFollowStudentsT() {
    // Mean 3, standard error √(2.5 / 5); t of 4 degrees of freedom at 97.5 % is 2.776 in any table.
    Interval interval = Interval.of(List.of(1.0, 2.0, 3.0, 4.0, 5.0));

    assertThat(interval.mean()).isEqualTo(3);
    assertThat(interval.high() - 3).isEqualTo(2.776 * Math.sqrt(0.5), within(1e-3));
    assertThat(3 - interval.low()).isEqualTo(interval.high() - 3, within(1e-12));
  }

  @Test
  void shouldBeAPointForOneValue() {
    assertThat(Interval.of(List.of(2.0))).isEqualTo(new Interval(2, 2, 2));
  }

  @Test
  void shouldBeAPointForEqualValues() {
    assertThat(Interval.of(List.of(0.1, 0.1, 0.1)).high()).isEqualTo(0.1, within(1e-15));
  }

  @Test
  void shouldNeedAValue() {
    assertThatThrownBy(() -> Interval.of(List.of())).isInstanceOf(IllegalArgumentException.class);
  }
}
