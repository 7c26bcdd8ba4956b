package dev.vard.store;

import dev.vard.run.RunStatus;
import dev.vard.store.RunQuery.Comparison;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * A {@link RunQuery} in SQL.
 *
 * @param values of its placeholders, in order
 */
record RunListing(String sql, List<Object> values) {
  /** Backslashes mean different things to different databases. */
  private static final char ESCAPE = '!';

  static RunListing of(RunQuery query) {
    List<String> conditions = new ArrayList<>();
    List<Object> values = new ArrayList<>();
    query
        .owner()
        .ifPresent(
            owner -> {
              conditions.add("owner = ?");
              values.add(owner);
            });
    for (RunQuery.Term term : query.terms()) {
      conditions.add(condition(term, values));
    }
    query
        .after()
        .ifPresent(
            place -> {
              conditions.add("(created_at < ? or created_at = ? and id < ?)");
              values.add(Timestamp.from(place.createdAt()));
              values.add(Timestamp.from(place.createdAt()));
              values.add(place.id());
            });
    values.add(query.limit());
    return new RunListing(
        "select * from run"
            + (conditions.isEmpty() ? "" : " where " + String.join(" and ", conditions))
            + " order by created_at desc, id desc limit ?",
        values);
  }

  private static String condition(RunQuery.Term term, List<Object> values) {
    return switch (term) {
      case RunQuery.TextTerm text -> text(text, values);
      case RunQuery.StatusTerm(boolean equal, RunStatus value) -> {
        values.add(value.name());
        yield "status " + (equal ? "=" : "<>") + " ?";
      }
      case RunQuery.PriorityTerm(Comparison comparison, int value) -> {
        values.add(value);
        yield "priority " + operator(comparison) + " ?";
      }
      case RunQuery.CreatedTerm(Comparison comparison, Instant value) -> {
        values.add(Timestamp.from(value));
        yield "created_at " + operator(comparison) + " ?";
      }
    };
  }

  private static String text(RunQuery.TextTerm term, List<Object> values) {
    String column =
        switch (term.field()) {
          case OWNER -> "owner";
          case NAME -> "name";
        };
    String value = term.value();
    boolean open = value.startsWith("*");
    boolean openEnd = value.length() > 1 && value.endsWith("*");
    if (!open && !openEnd) {
      values.add(value);
      return column + (term.equal() ? " = ?" : " <> ?");
    }
    String text = value.substring(open ? 1 : 0, value.length() - (openEnd ? 1 : 0));
    String escaped = text.replaceAll("[%_!]", ESCAPE + "$0");
    values.add((open ? "%" : "") + escaped + (openEnd ? "%" : ""));
    return column + (term.equal() ? " like ?" : " not like ?") + " escape '" + ESCAPE + "'";
  }

  private static String operator(Comparison comparison) {
    return switch (comparison) {
      case EQUAL -> "=";
      case NOT_EQUAL -> "<>";
      case LESS -> "<";
      case AT_MOST -> "<=";
      case GREATER -> ">";
      case AT_LEAST -> ">=";
    };
  }

  void bind(PreparedStatement statement) throws SQLException {
    for (int i = 0; i < values.size(); i++) {
      statement.setObject(i + 1, values.get(i));
    }
  }
}
