package dev.vard.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.vard.run.RunStatus;
import dev.vard.store.RunQuery.Comparison;
import dev.vard.store.RunQuery.CreatedTerm;
import dev.vard.store.RunQuery.PriorityTerm;
import dev.vard.store.RunQuery.StatusTerm;
import dev.vard.store.RunQuery.TextField;
import dev.vard.store.RunQuery.TextTerm;
import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RunFilterTest {

  @ParameterizedTest
  @ValueSource(strings = {"", "   ", "\t\n"})
  void shouldFindNoTermsInABlankFilter(String filter) {
    assertThat(RunFilter.parse(filter)).isEmpty();
  }

  @Test
  void shouldReadEveryField() {
    assertThat(
            RunFilter.parse(
                "state != DONE AND owner = 'team \\'a\\'' AND display_name=\"emoji*\" AND"
                    + " priority >= -5 AND create_time < 2026-11-23T08:19:01.5+01:00"))
        .containsExactly(
            new StatusTerm(false, RunStatus.DONE),
            new TextTerm(TextField.OWNER, true, "team 'a'"),
            new TextTerm(TextField.NAME, true, "emoji*"),
            new PriorityTerm(Comparison.AT_LEAST, -5),
            new CreatedTerm(Comparison.LESS, Instant.parse("2026-11-23T07:19:01.5Z")));
  }

  @ParameterizedTest
  @CsvSource({"=, EQUAL", "!=, NOT_EQUAL", "<, LESS", "<=, AT_MOST", ">, GREATER", ">=, AT_LEAST"})
  void shouldReadEveryOperator(String sign, Comparison comparison) {
    assertThat(RunFilter.parse("priority" + sign + "3"))
        .containsExactly(new PriorityTerm(comparison, 3));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "colour = red|1|'colour' is no field",
        "state = RUNING|9|'RUNING' is no state",
        "state > RUNNING|7|state has no order",
        "display_name < a|14|display_name has no order",
        "state RUNNING|7|one of = != < <= > >= belongs here",
        "state == RUNNING|7|one of = != < <= > >= belongs here",
        "state =|8|a value belongs here",
        "state = RUNNING OR state = DONE|17|'OR' stands where AND belongs",
        "state = RUNNING state = DONE|17|'state' stands where AND belongs",
        "state = RUNNING AND|20|a field belongs here",
        "priority = high|12|'high' is no whole number",
        "priority = 99999999999|12|'99999999999' is no whole number",
        "create_time > yesterday|15|'yesterday' is no time",
        "create_time > +999999999-12-31T23:59:59Z|15|is not between 1970 and 9999",
        "owner = \"a|9|this quote is not closed",
        "owner = a*b|9|a * may stand at the ends",
        "(state = DONE)|1|a field belongs here",
        "AND|4|one of = != < <= > >= belongs here"
      })
  void shouldSayWhereItIsWrong(String filter, int character, String why) {
    RequestException problem =
        catchThrowableOfType(RequestException.class, () -> RunFilter.parse(filter));

    assertThat(problem.code()).isEqualTo(RequestException.Code.INVALID_ARGUMENT);
    assertThat(problem.field()).contains("filter");
    assertThat(problem).hasMessageContaining("at character " + character + ": ");
    assertThat(problem).hasMessageContaining(why);
  }

  @Test
  void shouldRefuseControlCharacters() {
    assertThat(
            catchThrowableOfType(
                RequestException.class, () -> RunFilter.parse("owner = \"a\u0000b\"")))
        .hasMessageContaining("a control character");
  }

  @Test
  void shouldBoundTheNumberOfTerms() {
    String filter = "priority = 1" + " AND priority = 1".repeat(20);

    assertThat(catchThrowableOfType(RequestException.class, () -> RunFilter.parse(filter)))
        .hasMessageContaining("more than 20 terms");
  }
}
