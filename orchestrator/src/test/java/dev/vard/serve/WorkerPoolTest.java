package dev.vard.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.vard.run.FakeWorker;
import dev.vard.serve.WorkerPool.Lease;
import dev.vard.worker.WorkerClient;
import dev.vard.worker.WorkerClients;
import dev.vard.worker.WorkerException;
import dev.vard.worker.WorkerLocation;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Pools whose workers all are one of few lines: a local one is only another way to it. */
@Timeout(60)
class WorkerPoolTest {
  private static final Duration PATIENCE = Duration.ofSeconds(5);

  private FakeWorker worker;
  private final List<WorkerLocation> opened = new ArrayList<>();

  @BeforeEach
  void startWorker() throws IOException {
    worker = new FakeWorker();
  }

  @AfterEach
  void endWorker() {
    worker.close();
  }

  private WorkerPool pool(String... workers) {
    return new WorkerPool(
        List.of(workers),
        (location, name) -> {
          opened.add(location);
          return WorkerClients.open(
              location instanceof WorkerLocation.Remote
                  ? location
                  : WorkerLocation.parse(worker.address()));
        });
  }

  @Test
  void shouldKeepAWorkerWarmForTheNextRun() {
    try (WorkerPool pool = pool("local")) {
      WorkerClient before;
      try (Lease lease = pool.lease(2)) {
        before = lease.acquire();
      }
      try (Lease lease = pool.lease(2)) {
        assertThat(lease.acquire()).isSameAs(before);
      }
    }
    assertThat(opened).containsExactly(new WorkerLocation.Local(2));
  }

  @Test
  void shouldStartAnotherForAnotherNumberOfThreads() {
    try (WorkerPool pool = pool("local")) {
      try (Lease lease = pool.lease(2)) {
        lease.acquire();
      }
      try (Lease lease = pool.lease(1)) {
        lease.acquire();
      }
    }
    assertThat(opened).containsExactly(new WorkerLocation.Local(2), new WorkerLocation.Local(1));
  }

  @Test
  void shouldStartAnotherForOneThatWasDiscarded() {
    try (WorkerPool pool = pool("local");
        Lease lease = pool.lease(2)) {
      WorkerClient before = lease.acquire();
      lease.discard();

      assertThat(lease.acquire()).isNotSameAs(before);
    }
  }

  @Test
  void shouldExchangeAWorkerThatWasLostForOneThatIsFree() throws IOException {
    try (FakeWorker other = new FakeWorker();
        WorkerPool pool = pool(worker.address(), other.address());
        Lease lease = pool.lease(2)) {
      lease.acquire();
      lease.discard();
      lease.acquire();
    }
    assertThat(opened).extracting(Object::toString).doesNotHaveDuplicates().hasSize(2);
  }

  @Test
  void shouldGiveAWorkerToOneRunAtATime() throws Exception {
    try (WorkerPool pool = pool("local");
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      Lease first = pool.lease(2);
      Future<Lease> second = threads.submit(() -> pool.lease(2));

      assertThat(second).isNotDone();
      first.close();
      second.get().close();
    }
  }

  @Test
  void shouldPreferAWorkerThatIsWell() {
    worker.close();
    try (FakeWorker other = new FakeWorker();
        WorkerPool pool = pool(worker.address(), other.address())) {
      assertThat(pool.health(PATIENCE))
          .extracting(health -> health.trouble().isPresent())
          .containsExactly(true, false);

      try (Lease lease = pool.lease(2)) {
        lease.acquire();
      }
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void shouldCountAWorkerThatWasNotStartedYetAsWell() {
    try (WorkerPool pool = pool("local")) {
      assertThat(pool.health(PATIENCE))
          .singleElement()
          .satisfies(health -> assertThat(health.trouble()).isEmpty());
    }
    assertThat(opened).isEmpty();
  }

  @Test
  void shouldTellOfAWorkerThatCouldNotBeStarted() {
    worker.close();
    try (WorkerPool pool = pool("local")) {
      try (Lease lease = pool.lease(2)) {
        assertThat(catchThrowableOfType(WorkerException.class, lease::acquire).kind())
            .isEqualTo(WorkerException.Kind.UNAVAILABLE);
      }
      assertThat(pool.health(PATIENCE))
          .singleElement()
          .satisfies(
              health -> assertThat(health.trouble().orElseThrow()).contains("no worker answers"));
    }
  }

  @Test
  void shouldRefuseAPoolThatCannotBe() {
    assertThatThrownBy(() -> pool()).hasMessageContaining("has no worker");
    assertThatThrownBy(() -> pool("embedded", "embedded")).hasMessageContaining("one Python");
    assertThatThrownBy(() -> pool("gpu:7777", "local", "gpu:7777"))
        .hasMessageContaining("the worker at gpu:7777 twice");
    assertThatThrownBy(() -> pool("localhost")).hasMessageContaining("is no worker");
  }
}
