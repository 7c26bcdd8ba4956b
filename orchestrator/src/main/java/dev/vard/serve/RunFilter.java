package dev.vard.serve;

import dev.vard.run.RunStatus;
import dev.vard.serve.RequestException.Code;
import dev.vard.store.RunQuery.Comparison;
import dev.vard.store.RunQuery.CreatedTerm;
import dev.vard.store.RunQuery.PriorityTerm;
import dev.vard.store.RunQuery.StatusTerm;
import dev.vard.store.RunQuery.Term;
import dev.vard.store.RunQuery.TextField;
import dev.vard.store.RunQuery.TextTerm;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Reads a filter: the part of <a href="https://google.aip.dev/160">AIP-160</a> that runs have a use
 * for.
 *
 * <pre>
 *   filter = [ term { "AND" term } ]
 *   term   = field operator value
 *   field  = "state" | "owner" | "display_name" | "priority" | "create_time"
 *   value  = text in double or single quotes, with \ before a quote or a \ | a word
 * </pre>
 */
final class RunFilter {
  private static final int MAX_TERMS = 20;
  private static final String FIELDS = "state, owner, display_name, priority and create_time";
  private static final String SIGNS = "=!<>";

  private final String text;
  private int position;

  private RunFilter(String text) {
    this.text = text;
  }

  /**
   * @return terms that must all hold; none for a blank filter
   * @throws RequestException INVALID_ARGUMENT, with the place in the filter
   */
  static List<Term> parse(String text) {
    return new RunFilter(text).terms();
  }

  private List<Term> terms() {
    List<Term> terms = new ArrayList<>();
    skipSpace();
    while (position < text.length()) {
      if (!terms.isEmpty()) {
        int start = position;
        String and = word("AND");
        if (!and.equals("AND")) {
          throw wrong(start, "'" + and + "' stands where AND belongs");
        }
      }
      if (terms.size() == MAX_TERMS) {
        throw wrong(position, "there are more than " + MAX_TERMS + " terms");
      }
      terms.add(term());
      skipSpace();
    }
    return List.copyOf(terms);
  }

  private Term term() {
    skipSpace();
    int start = position;
    String field = word("a field");
    skipSpace();
    int sign = position;
    Comparison comparison = comparison();
    skipSpace();
    int place = position;
    String value = value();
    return switch (field) {
      case "state" -> new StatusTerm(equality(field, comparison, sign), status(value, place));
      case "owner" -> text(TextField.OWNER, field, comparison, sign, value, place);
      case "display_name" -> text(TextField.NAME, field, comparison, sign, value, place);
      case "priority" -> new PriorityTerm(comparison, number(value, place));
      case "create_time" -> new CreatedTerm(comparison, time(value, place));
      default -> throw wrong(start, "'" + field + "' is no field; there are " + FIELDS);
    };
  }

  private Comparison comparison() {
    int start = position;
    while (position < text.length() && SIGNS.indexOf(text.charAt(position)) >= 0) {
      position++;
    }
    return switch (text.substring(start, position)) {
      case "=" -> Comparison.EQUAL;
      case "!=" -> Comparison.NOT_EQUAL;
      case "<" -> Comparison.LESS;
      case "<=" -> Comparison.AT_MOST;
      case ">" -> Comparison.GREATER;
      case ">=" -> Comparison.AT_LEAST;
      default -> throw wrong(start, "one of = != < <= > >= belongs here");
    };
  }

  private boolean equality(String field, Comparison comparison, int place) {
    return switch (comparison) {
      case EQUAL -> true;
      case NOT_EQUAL -> false;
      case LESS, AT_MOST, GREATER, AT_LEAST ->
          throw wrong(place, field + " has no order; use = or !=");
    };
  }

  private TextTerm text(
      TextField field, String name, Comparison comparison, int sign, String value, int place) {
    String inner = value.replaceFirst("^\\*", "").replaceFirst("\\*$", "");
    if (inner.contains("*")) {
      throw wrong(place, "a * may stand at the ends of a text only");
    }
    return new TextTerm(field, equality(name, comparison, sign), value);
  }

  private RunStatus status(String value, int place) {
    return Arrays.stream(RunStatus.values())
        .filter(status -> status.name().equals(value))
        .findFirst()
        .orElseThrow(
            () ->
                wrong(
                    place,
                    "'"
                        + value
                        + "' is no state; there are "
                        + Arrays.toString(RunStatus.values())));
  }

  private int number(String value, int place) {
    try {
      return Integer.parseInt(value);
    } catch (NumberFormatException e) {
      throw wrong(place, "'" + value + "' is no whole number");
    }
  }

  private Instant time(String value, int place) {
    try {
      Instant time = OffsetDateTime.parse(value).toInstant();
      if (time.isBefore(Instant.EPOCH) || time.isAfter(Instant.parse("9999-12-31T23:59:59Z"))) {
        throw wrong(place, value + " is not between 1970 and 9999");
      }
      return time;
    } catch (DateTimeException e) {
      throw wrong(place, "'" + value + "' is no time as 2026-11-23T08:19:01Z");
    }
  }

  private String value() {
    if (position < text.length()
        && (text.charAt(position) == '"' || text.charAt(position) == '\'')) {
      return quoted();
    }
    return word("a value");
  }

  private String quoted() {
    int start = position;
    char quote = text.charAt(position++);
    StringBuilder value = new StringBuilder();
    while (position < text.length()) {
      char c = text.charAt(position++);
      if (c == quote) {
        return value.toString();
      }
      boolean escape = c == '\\' && position < text.length();
      char meant = escape ? text.charAt(position++) : c;
      if (Character.isISOControl(meant)) {
        throw wrong(position - 1, "a control character");
      }
      value.append(meant);
    }
    throw wrong(start, "this quote is not closed");
  }

  /**
   * @param expected what belongs here, for the error
   */
  private String word(String expected) {
    skipSpace();
    int start = position;
    while (position < text.length() && isWord(text.charAt(position))) {
      position++;
    }
    if (position == start) {
      throw wrong(start, expected + " belongs here");
    }
    return text.substring(start, position);
  }

  private static boolean isWord(char c) {
    return !Character.isWhitespace(c)
        && !Character.isISOControl(c)
        && SIGNS.indexOf(c) < 0
        && "\"'()\\,".indexOf(c) < 0;
  }

  private void skipSpace() {
    while (position < text.length() && Character.isWhitespace(text.charAt(position))) {
      position++;
    }
  }

  private RequestException wrong(int place, String what) {
    return new RequestException(
        Code.INVALID_ARGUMENT,
        "filter",
        "filter, at character "
            + (place + 1)
            + ": "
            + what
            + "; write it as state = RUNNING AND display_name = \"emoji*\"");
  }
}
