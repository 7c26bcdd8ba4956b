package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.run.Round;
import dev.vard.run.RunStatus;
import dev.vard.store.RunStore.Claim;
import dev.vard.store.StoreException.Kind;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** One behaviour of a store: what its tests begin with. */
abstract class StoreBehaviour {
  static final Round ROUND = new Round(Round.Kind.COLLECT, 1);
  static final int WRITERS = 8;

  final MovableClock clock;
  final Database database;
  final RunStore store;
  private final StoreFixture fixture;

  StoreBehaviour(StoreFixture fixture) {
    this.clock = fixture.clock;
    this.database = fixture.database;
    this.store = fixture.store();
    this.fixture = fixture;
  }

  final void sql(String statement) throws SQLException {
    fixture.sql(statement);
  }

  final int count(String table) throws SQLException {
    return fixture.count(table);
  }

  final StoredRun create(String id) {
    return store.create(Made.run(id, "alice", 0));
  }

  final Claim claim(String id) {
    return store.claim(id, "here").orElseThrow();
  }

  final Claim running(String id) {
    create(id);
    return claim(id);
  }

  /** Brings a new run to a status. */
  final StoredRun at(String id, RunStatus status) {
    return switch (status) {
      case WAITING -> create(id);
      case RUNNING -> running(id).run();
      case PAUSED, CANCELLED, FAILED, DONE -> store.release(running(id), Made.end(status));
    };
  }

  final List<String> events(String id) {
    return store.events(id, 0, 1000).stream().map(StoredEvent::json).toList();
  }

  final long turn(String id, String owner, int priority) {
    return store.create(Made.run(id, owner, priority)).turn();
  }

  static String moved(String from, String to, String code, String reason) {
    return "{\"event\":\"state_changed\",\"from\":%s,\"to\":\"%s\",\"reason_code\":\"%s\",\"reason\":\"%s\"}"
        .formatted(from, to, code, reason);
  }

  static void assertKind(Kind kind, Runnable call) {
    assertThatThrownBy(call::run)
        .isInstanceOfSatisfying(
            StoreException.class, e -> assertThat(e.kind()).as(e.getMessage()).isEqualTo(kind));
  }

  /** Runs the same at the same time on many threads. */
  static <T> List<T> atOnce(List<Callable<T>> work) throws Exception {
    CyclicBarrier start = new CyclicBarrier(work.size());
    try (ExecutorService threads = Executors.newFixedThreadPool(work.size())) {
      List<Future<T>> futures = new ArrayList<>();
      for (Callable<T> one : work) {
        futures.add(
            threads.submit(
                () -> {
                  start.await();
                  return one.call();
                }));
      }
      List<T> results = new ArrayList<>();
      for (Future<T> future : futures) {
        results.add(future.get());
      }
      return results;
    }
  }
}
