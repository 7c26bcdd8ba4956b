package dev.vard.serve;

import static dev.vard.serve.TestServer.ANN;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.Any;
import com.google.rpc.RetryInfo;
import dev.vard.reward.kind.GrpcRewardServer;
import dev.vard.reward.kind.HttpRewardServer;
import dev.vard.run.FakeWorker;
import dev.vard.run.RunStatus;
import dev.vard.store.StoredRun;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A reward's server says when it wants to be asked again. A run waits a minute at most while it has
 * a worker to itself; for longer it pauses, says why and until when, and the worker is another
 * run's.
 */
@Timeout(120)
class PeersWishTest {
  private static final Duration DAY = Duration.ofDays(1);

  @TempDir private Path folder;
  private FakeWorker worker;
  private HttpRewardServer http;
  private GrpcRewardServer grpc;
  private TestServer server;

  @BeforeEach
  void start() throws Exception {
    worker = new FakeWorker();
    http = new HttpRewardServer();
    grpc = new GrpcRewardServer();
    server =
        new TestServer(
            folder,
            TestServer.h2(folder),
            "one",
            List.of(worker.address()),
            Map.of(
                "vard.serve.rewards", List.of(http.url().toString(), "grpc:" + grpc.endpoint())));
    server.orchestrator.start();
  }

  @AfterEach
  void end() throws Exception {
    server.close();
    grpc.close();
    http.close();
    worker.close();
  }

  private StoredRun overHttp() {
    return server.create(ANN, "reward.kind=http", "reward.url=" + http.url());
  }

  private StoredRun overGrpc() {
    return server.create(ANN, "reward.kind=grpc", "reward.endpoints=[" + grpc.endpoint() + "]");
  }

  private void httpWishes(String retryAfter) {
    http.answer =
        (request, exchange) -> {
          exchange.getResponseHeaders().set("Retry-After", retryAfter);
          HttpRewardServer.give(exchange, 429, "{\"detail\": \"quota\"}");
        };
  }

  private void grpcWishes(long seconds) {
    com.google.rpc.Status status =
        com.google.rpc.Status.newBuilder()
            .setCode(Status.Code.RESOURCE_EXHAUSTED.value())
            .setMessage("quota")
            .addDetails(
                Any.pack(
                    RetryInfo.newBuilder()
                        .setRetryDelay(
                            com.google.protobuf.Duration.newBuilder()
                                .setSeconds(seconds)
                                .setNanos(Integer.MAX_VALUE))
                        .build()))
            .build();
    grpc.answer = (request, observer) -> observer.onError(StatusProto.toStatusException(status));
  }

  /** The only worker does another run while this one is paused. */
  private void assertPaused(StoredRun run, Duration atLeast, Duration atMost) throws Exception {
    Instant created = Instant.now();
    StoredRun paused = server.await(run.id(), RunStatus.PAUSED);
    Instant retryAt = paused.retryAt().orElseThrow();

    assertThat(paused.reasonCode()).isEqualTo("REWARD_FAILED");
    assertThat(paused.reason()).contains("quota").contains("it asks for a pause of ");
    assertThat(retryAt).isAfter(created.plus(atLeast).minusSeconds(5));
    assertThat(retryAt).isBefore(Instant.now().plus(atMost));

    StoredRun other = server.create(ANN);
    server.await(other.id(), RunStatus.DONE);
    assertThat(server.store.find(run.id()).orElseThrow().status()).isEqualTo(RunStatus.PAUSED);
  }

  @ParameterizedTest
  @ValueSource(strings = {"999999999", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"})
  void shouldReleaseTheWorkerOfARunWhoseHttpServerAsksForYears(String wish) throws Exception {
    httpWishes(wish);

    assertPaused(overHttp(), DAY, DAY);
  }

  @Test
  void shouldPauseAsLongAsAServerWants() throws Exception {
    httpWishes("7200");

    assertPaused(overHttp(), Duration.ofHours(2), Duration.ofHours(2));
  }

  @ParameterizedTest
  @ValueSource(longs = {999_999_999_999L, Long.MAX_VALUE})
  void shouldReleaseTheWorkerOfARunWhoseGrpcServerAsksForYears(long seconds) throws Exception {
    grpcWishes(seconds);

    assertPaused(overGrpc(), DAY, DAY);
  }

  @ParameterizedTest
  @ValueSource(strings = {"-5", "NaN", "soon", "Thu, 01 Jan 1970 00:00:00 GMT", "1"})
  void shouldAskAgainInPlaceAfterAShortOrSenselessWish(String wish) throws Exception {
    AtomicInteger calls = new AtomicInteger();
    HttpRewardServer.Answer scores = http.answer;
    httpWishes(wish);
    HttpRewardServer.Answer refuses = http.answer;
    http.answer =
        (request, exchange) ->
            (calls.incrementAndGet() == 1 ? refuses : scores).to(request, exchange);

    StoredRun run = overHttp();

    StoredRun done = server.await(run.id(), RunStatus.DONE);
    assertThat(done.generation()).as("it kept its worker").isOne();
  }
}
