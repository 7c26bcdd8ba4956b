package dev.vard.cli.client;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class TableTest {

  @Test
  void shouldMakeColumnsAsWideAsTheyMustBe() {
    Table table = new Table(80);
    table.add("RUN", "STATE", "REASON");
    table.add("a-long-name", "done", "");
    table.add("b", "failed", "no such model");

    assertThat(table.text())
        .isEqualTo(
            """
            RUN          STATE   REASON
            a-long-name  done
            b            failed  no such model
            """);
  }

  @Test
  void shouldGoOnBelowTheLastColumn() {
    Table table = new Table(6 + 24);
    table.add("emoji", "");
    table.add("a", "the reward answered 503 and then did not answer; see to it");

    assertThat(table.text())
        .isEqualTo(
            """
            emoji
            a      the reward answered 503
                   and then did not answer;
                   see to it
            """);
  }

  @Test
  void shouldBreakAWordThatIsTooLong() {
    Table table = new Table(24);
    table.add("x".repeat(30));

    assertThat(table.text()).isEqualTo("x".repeat(24) + "\n" + "x".repeat(6) + "\n");
  }

  @Test
  void shouldNotLetOthersSteerTheTerminal() {
    Table table = new Table(80);
    table.add("\u001b[2Jgone\r\nnext\u0007");

    assertThat(table.text()).isEqualTo("[2Jgone; next\n");
  }

  @Test
  void shouldBeNothingWithoutRows() {
    assertThat(new Table(80).text()).isEmpty();
  }
}
