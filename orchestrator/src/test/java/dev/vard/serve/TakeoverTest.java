package dev.vard.serve;

import static dev.vard.serve.TestServer.ADMIN;
import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.run.FakeWorker;
import dev.vard.run.RunStatus;
import dev.vard.store.Database;
import dev.vard.store.StoredEvent;
import dev.vard.store.StoredRun;
import dev.vard.testing.CuttableProxy;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Two orchestrators on one PostgreSQL, each with a worker, and a run in the middle of a sampling.
 */
@Timeout(180)
class TakeoverTest {
  private static EmbeddedPostgres postgres;
  private static int databases;

  @TempDir private Path folder;
  private String database;
  private CuttableProxy proxy;
  private FakeWorker firstWorker;
  private FakeWorker secondWorker;
  private TestServer first;
  private TestServer second;
  private StoredRun run;

  @BeforeAll
  static void startPostgres() throws IOException {
    postgres = EmbeddedPostgres.start();
  }

  @AfterAll
  static void endPostgres() throws IOException {
    postgres.close();
  }

  @BeforeEach
  void beginARunOnTheFirst() throws Exception {
    database = "test" + ++databases;
    try (Connection connection = postgres.getPostgresDatabase().getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute("create database " + database);
    }
    proxy = new CuttableProxy(postgres.getPort());
    firstWorker = new FakeWorker();
    secondWorker = new FakeWorker();
    first = server("first", proxy.port(), firstWorker);
    firstWorker.stickInSampling();
    first.orchestrator.start();
    run = first.create(ADMIN);
    firstWorker.awaitStuck();
    second = server("second", postgres.getPort(), secondWorker);
    second.orchestrator.start();
  }

  private TestServer server(String name, int port, FakeWorker worker) {
    String url = "jdbc:postgresql://127.0.0.1:" + port + "/" + database;
    return new TestServer(
        folder, new Database(url, "postgres", ""), name, List.of(worker.address()));
  }

  @AfterEach
  void endAll() throws IOException {
    proxy.mend();
    first.close();
    second.close();
    firstWorker.close();
    secondWorker.close();
    proxy.close();
  }

  @Test
  void shouldTakeOverFromOneThatIsGone() throws InterruptedException {
    long start = System.nanoTime();
    proxy.cut();

    StoredRun taken = second.await(run.id(), RunStatus.DONE);
    Duration took = Duration.ofNanos(System.nanoTime() - start);

    assertThat(took).isLessThan(Duration.ofSeconds(30));
    assertThat(taken.generation()).isEqualTo(2);
    assertThat(taken.orchestrator()).isEqualTo("second");
    List<StoredEvent> events = second.watchToTheEnd(run.id(), 0);
    assertThat(events)
        .extracting(StoredEvent::sequence)
        .containsExactlyElementsOf(LongStream.rangeClosed(1, events.size()).boxed().toList());
  }

  @Test
  void shouldLetGoQuietlyOnceItIsBack() throws InterruptedException {
    proxy.cut();
    StoredRun taken = second.await(run.id(), RunStatus.DONE);
    proxy.mend();

    // Its worker's answer breaks off, and with it the sampling that it still waits for.
    firstWorker.close();
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (!first.dispatcher.executing().isEmpty() && System.nanoTime() < end) {
      Thread.sleep(20);
    }

    assertThat(first.dispatcher.executing()).isEmpty();
    assertThat(second.store.find(run.id())).contains(taken);
  }

  @Test
  void shouldKeepItsRunWhenTheDatabaseWasAwayForBoth() throws Exception {
    // The second has no room, so nobody can take the run over.
    secondWorker.stickInSampling();
    StoredRun other = second.create(ADMIN);
    secondWorker.awaitStuck();

    proxy.cut();
    awaitGivenUp(run.id());
    proxy.mend();
    cancelOnceItAnswers(first, run.id());

    assertThat(first.await(run.id(), RunStatus.CANCELLED).generation()).isEqualTo(1);
    second.runs.cancel(ADMIN, other.id());
    second.await(other.id(), RunStatus.CANCELLED);
  }

  /** A pool of connections comes back a while after its database: it says to try again. */
  private static void cancelOnceItAnswers(TestServer at, String id) throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (true) {
      try {
        at.runs.cancel(ADMIN, id);
        return;
      } catch (RequestException e) {
        if (!e.getMessage().contains("try again in a while") || System.nanoTime() > end) {
          throw e;
        }
        Thread.sleep(100);
      }
    }
  }

  /** Until the second takes a run's owner for dead, and puts the run back into the queue. */
  private void awaitGivenUp(String id) throws Exception {
    try (Connection connection = postgres.getDatabase("postgres", database).getConnection();
        PreparedStatement picked =
            connection.prepareStatement(
                "select picked from scheduled_tasks where task_instance = ?")) {
      picked.setString(1, id);
      long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
      while (true) {
        try (ResultSet row = picked.executeQuery()) {
          if (row.next() && !row.getBoolean(1)) {
            return;
          }
        }
        assertThat(System.nanoTime()).as("the second gives the first up").isLessThan(end);
        Thread.sleep(20);
      }
    }
  }

  @Test
  void shouldNotBeReadyWhileTheDatabaseIsAway() throws InterruptedException {
    assertThat(first.orchestrator.problems()).isEmpty();
    proxy.cut();

    long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
    while (first.orchestrator.problems().isEmpty() && System.nanoTime() < end) {
      Thread.sleep(50);
    }

    assertThat(first.orchestrator.problems())
        .singleElement()
        .asString()
        .startsWith("the database: ");
    assertThat(second.orchestrator.problems()).isEmpty();
  }

  @Test
  void shouldCancelARunOfTheOther() throws InterruptedException {
    second.runs.cancel(ADMIN, run.id());

    assertThat(second.await(run.id(), RunStatus.CANCELLED).orchestrator()).isEqualTo("first");
  }

  @Test
  void shouldWatchARunOfTheOther() throws InterruptedException {
    first.runs.cancel(ADMIN, run.id());

    assertThat(second.watchToTheEnd(run.id(), 0).getLast().json()).contains("CANCELLED");
  }
}
