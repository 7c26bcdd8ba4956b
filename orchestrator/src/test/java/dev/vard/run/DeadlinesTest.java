package dev.vard.run;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class DeadlinesTest {
  private final Deadlines deadlines = new Deadlines();

  @Test
  void shouldBeGenerousBeforeAnythingWasMeasured() {
    assertThat(deadlines.sample(1)).isEqualTo(Deadlines.SAMPLE);
    assertThat(deadlines.assess(1)).isEqualTo(Deadlines.ASSESS);
    assertThat(deadlines.fit(1, 1)).isEqualTo(Deadlines.FIT);
    assertThat(deadlines.improve(1)).isEqualTo(Deadlines.IMPROVE);
  }

  @Test
  void shouldAllowTenTimesWhatWasMeasured() {
    deadlines.sampled(32, Duration.ofMinutes(5));

    assertThat(deadlines.sample(32)).isEqualTo(Duration.ofMinutes(50));
  }

  @Test
  void shouldGrowWithTheRequest() {
    deadlines.sampled(10, Duration.ofMinutes(10));
    deadlines.fitted(10, 4, Duration.ofMinutes(40));
    deadlines.improved(10, Duration.ofMinutes(10));
    deadlines.assessed(10, Duration.ofMinutes(10));

    assertThat(deadlines.sample(20)).isEqualTo(Duration.ofMinutes(200));
    assertThat(deadlines.fit(5, 8)).isEqualTo(Duration.ofMinutes(400));
    assertThat(deadlines.fit(20, 4)).isEqualTo(Duration.ofMinutes(800));
    assertThat(deadlines.improve(20)).isEqualTo(Duration.ofMinutes(200));
    assertThat(deadlines.assess(5)).isEqualTo(Duration.ofMinutes(50));
  }

  @Test
  void shouldRememberTheSlowest() {
    deadlines.sampled(10, Duration.ofMinutes(5));
    deadlines.sampled(10, Duration.ofMinutes(20));
    deadlines.sampled(10, Duration.ofMinutes(10));

    assertThat(deadlines.sample(10)).isEqualTo(Duration.ofMinutes(200));
  }

  @Test
  void shouldNotBeHastyWhereAllIsQuick() {
    deadlines.fitted(40, 128, Duration.ofSeconds(4));

    assertThat(deadlines.fit(40, 128)).isEqualTo(Deadlines.LEAST);
  }

  @Test
  void shouldKeepTheKindsApart() {
    deadlines.sampled(1, Duration.ofHours(10));

    assertThat(deadlines.improve(1)).isEqualTo(Deadlines.IMPROVE);
    assertThat(deadlines.assess(1)).isEqualTo(Deadlines.ASSESS);
  }

  @Test
  void shouldTakeTheLargestRequestThereIs() {
    deadlines.fitted(1, 1, Duration.ofMillis(1));

    assertThat(deadlines.fit(1_000_000, 4096)).isEqualTo(Duration.ofMillis(40_960_000_000L));
  }

  @Test
  void shouldLearnFromManyThreads() {
    IntStream.rangeClosed(1, 1000)
        .parallel()
        .forEach(minutes -> deadlines.sampled(1, Duration.ofMinutes(minutes)));

    assertThat(deadlines.sample(1)).isEqualTo(Duration.ofMinutes(10_000));
  }
}
