package dev.vard.store;

import io.micronaut.data.connection.exceptions.ConnectionException;
import io.micronaut.transaction.exceptions.TransactionSystemException;
import java.sql.SQLException;
import java.sql.SQLRecoverableException;
import java.sql.SQLTransientException;
import java.util.ArrayDeque;
import java.util.Collections;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Tells a database that is gone, which may come back, from a statement that will never work. */
final class Outage {
  /**
   * Classes of SQLSTATE: connection, transaction rollback, insufficient resources (disk full, too
   * many connections), operator intervention (shutdown, crash, not up yet) and system error.
   */
  private static final Set<String> CLASSES = Set.of("08", "40", "53", "57", "58");

  /**
   * Of PostgreSQL: no writes on a standby, no lock within the time. Of H2: no lock within the time;
   * input and output (with a full disk), a database that closed itself over them, a connection to
   * it.
   */
  private static final Set<String> STATES =
      Set.of(
          "25006", "55P03", "HYT00", "90007", "90028", "90031", "90062", "90067", "90098", "90121");

  /** H2's file is another process's. */
  private static final String HELD = "90020";

  private Outage() {}

  static StoreException unavailable(Exception outage) {
    return new StoreException(
        StoreException.Kind.UNAVAILABLE,
        "the database does not answer: "
            + message(outage)
            + "; see that it runs, can be reached and has room on its disk",
        outage);
  }

  private static @Nullable String message(Exception outage) {
    return switch (outage) {
      case ConnectionException connection -> "the connection broke";
      case InterruptedException interrupted -> "the thread was told not to wait for it";
      default -> outage.getMessage();
    };
  }

  static boolean heldByAnother(SQLException e) {
    return HELD.equals(e.getSQLState());
  }

  /** The failure of the database in an exception; empty if the database is well. */
  static Optional<Exception> in(Throwable thrown) {
    Deque<Throwable> open = new ArrayDeque<>();
    Set<Throwable> seen = Collections.newSetFromMap(new IdentityHashMap<>());
    open.add(thrown);
    while (!open.isEmpty()) {
      Throwable next = open.remove();
      if (!seen.add(next)) {
        continue;
      }
      if (next instanceof Exception e && isOne(e)) {
        return Optional.of(e);
      }
      if (next.getCause() != null) {
        open.add(next.getCause());
      }
      if (next instanceof SQLException e && e.getNextException() != null) {
        open.add(e.getNextException());
      }
      // A rollback that failed over the lost connection hides what it was to undo.
      open.addAll(List.of(next.getSuppressed()));
      if (next instanceof TransactionSystemException e && e.getApplicationException() != null) {
        open.add(e.getApplicationException());
      }
    }
    return Optional.empty();
  }

  private static boolean isOne(Exception e) {
    return switch (e) {
      case SQLTransientException transientFailure -> true;
      case SQLRecoverableException recoverable -> true;
      case SQLException sql -> {
        String state = sql.getSQLState() == null ? "" : sql.getSQLState();
        yield heldByAnother(sql)
            || STATES.contains(state)
            || state.length() == 5 && CLASSES.contains(state.substring(0, 2));
      }
      // The pool took the connection away because it broke, and it cannot be put back in order.
      case ConnectionException connection -> connection.getCause() instanceof SQLException;
      // While the pool was waited for.
      case InterruptedException interrupted -> true;
      default -> false;
    };
  }
}
