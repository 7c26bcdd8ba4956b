package dev.vard.store;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;

/** An open store, the clock that it reads, and a way around it into its tables. */
final class StoreFixture implements AutoCloseable {
  final MovableClock clock = new MovableClock();
  final Database database;
  private final OpenStore open;

  StoreFixture(Database database) {
    this.database = database;
    this.open = OpenStore.open(database.properties(), clock);
  }

  RunStore store() {
    return open.store();
  }

  void empty() throws SQLException {
    for (String table : List.of("run", "queue", "audit")) {
      sql("delete from " + table);
    }
  }

  void sql(String statement) throws SQLException {
    try (Connection connection = connect();
        Statement jdbc = connection.createStatement()) {
      jdbc.execute(statement);
    }
  }

  int count(String table) throws SQLException {
    try (Connection connection = connect();
        Statement jdbc = connection.createStatement();
        ResultSet result = jdbc.executeQuery("select count(*) from " + table)) {
      result.next();
      return result.getInt(1);
    }
  }

  private Connection connect() throws SQLException {
    return DriverManager.getConnection(database.url(), database.user(), database.password());
  }

  @Override
  public void close() {
    open.close();
  }
}
