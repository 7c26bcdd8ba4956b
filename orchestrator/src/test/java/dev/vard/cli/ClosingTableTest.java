package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.run.PhaseSeconds;
import dev.vard.run.RunResult;
import dev.vard.statistics.Interval;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

class ClosingTableTest {
  @Test
  void shouldTellWhatARunCameTo() {
    ClosingTable table =
        new ClosingTable(
            result(-1.355, -1.020, 57.2),
            OptionalDouble.of(60),
            Optional.of(Path.of("runs/x/report.html")));

    assertThat(table.text().lines())
        .containsExactly(
            "  reward before      -1.355   (95 %: -1.405 to -1.305)",
            "  reward after       -1.020   (95 %: -1.070 to -0.9700)",
            "  change             +24.7 % better",
            "  reward queries     512 for training, 320 for evaluation",
            "  KL per trajectory  57.2 of 60 nats",
            "  time               3 min 22 s: sampling 52.1 s (26 %), value 1 min 02 s (31 %),"
                + " policy 1 min 24 s (42 %), other 3.9 s (2 %)",
            "  export             runs/x/export",
            "  report             runs/x/report.html");
  }

  @Test
  void shouldCallASmallerRewardWorse() {
    assertThat(table(2.0, 1.5, 5)).contains("change             -25.0 % worse");
    assertThat(table(-1.0, -1.5, 5)).contains("change             -50.0 % worse");
  }

  @Test
  void shouldNotCallWhatRoundsToZeroWorse() {
    assertThat(table(-1.0, -1.0001, 5))
        .contains("change             0.0 %")
        .doesNotContain("worse");
  }

  @Test
  void shouldGiveTheDifferenceWhereTheRewardWasZero() {
    assertThat(table(0.0, 0.25, 5)).contains("change             +0.2500");
  }

  @Test
  void shouldGiveTheDifferenceOfANormalisedSum() {
    assertThat(table(1.5e-15, 0.7, 5))
        .contains("reward before      0.000 ", "change             +0.7000");
  }

  @Test
  void shouldSayThatTheBudgetIsExceeded() {
    assertThat(table(1, 2, 63.4)).contains("63.4 of 60 nats, above the budget");
  }

  @Test
  void shouldLeaveOutABudgetThatIsNotThere() {
    assertThat(
            new ClosingTable(result(1, 2, 12.3), OptionalDouble.empty(), Optional.empty()).text())
        .contains("KL per trajectory  12.3 nats")
        .doesNotContain(" of ", "report  ");
  }

  private static String table(double before, double after, double kl) {
    return new ClosingTable(result(before, after, kl), OptionalDouble.of(60), Optional.empty())
        .text();
  }

  private static RunResult result(double before, double after, double kl) {
    return new RunResult(
        "x",
        16,
        512,
        320,
        new Interval(before, before - 0.05, before + 0.05),
        new Interval(after, after - 0.05, after + 0.05),
        kl,
        new PhaseSeconds(52.1, 0.04, 3.3, 61.7, 84.2, 201.9),
        "runs/x/export",
        "00".repeat(32));
  }
}
