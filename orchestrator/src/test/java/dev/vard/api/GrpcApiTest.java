package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.vard.proto.v1.GetRunRequest;
import dev.vard.proto.v1.RunEvent;
import dev.vard.proto.v1.RunServiceGrpc;
import dev.vard.proto.v1.WatchRunRequest;
import dev.vard.reward.RewardMetrics;
import dev.vard.run.RunEvent.Evaluated;
import dev.vard.run.RunEvent.SampleSeconds;
import dev.vard.serve.Caller;
import dev.vard.serve.Runs.Creation;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.reflection.v1.ServerReflectionGrpc;
import io.grpc.reflection.v1.ServerReflectionRequest;
import io.grpc.reflection.v1.ServerReflectionResponse;
import io.grpc.reflection.v1.ServiceResponse;
import io.grpc.stub.StreamObserver;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What gRPC has and HTTP has not. */
class GrpcApiTest {
  private final InMemoryRuns runs = new InMemoryRuns();
  private LiveApi api;
  private GrpcRoad road;
  private String run;

  @BeforeEach
  void start() {
    api = LiveApi.start(runs, Map.of("slow-reader-seconds", 1));
    road = GrpcRoad.to(api.grpcPort());
    run =
        runs.create(new Caller("local", true, ""), new Creation("name: fox", List.of(), 0, ""))
            .run()
            .id();
  }

  @AfterEach
  void end() {
    road.close();
    api.close();
  }

  @Test
  void shouldTellOfItsHealth() {
    assertThat(health(road, RunServiceGrpc.SERVICE_NAME)).isEqualTo(ServingStatus.NOT_SERVING);

    api.grpc().ready(true);

    assertThat(health(road, RunServiceGrpc.SERVICE_NAME)).isEqualTo(ServingStatus.SERVING);
    assertThat(health(road, "")).isEqualTo(ServingStatus.SERVING);
  }

  @Test
  void shouldDescribeItself() throws Exception {
    CompletableFuture<ServerReflectionResponse> answer = new CompletableFuture<>();
    StreamObserver<ServerReflectionRequest> ask =
        ServerReflectionGrpc.newStub(road.channel())
            .serverReflectionInfo(
                new StreamObserver<>() {
                  @Override
                  public void onNext(ServerReflectionResponse response) {
                    answer.complete(response);
                  }

                  @Override
                  public void onError(Throwable t) {
                    answer.completeExceptionally(t);
                  }

                  @Override
                  public void onCompleted() {}
                });
    ask.onNext(ServerReflectionRequest.newBuilder().setListServices("").build());
    List<ServiceResponse> services =
        answer.get(10, TimeUnit.SECONDS).getListServicesResponse().getServiceList();
    ask.onCompleted();

    assertThat(services)
        .extracting(ServiceResponse::getName)
        .contains(RunServiceGrpc.SERVICE_NAME, HealthGrpc.SERVICE_NAME);
  }

  @Test
  void shouldAskProbesForNoToken(@TempDir Path folder) throws Exception {
    Path tokens = Files.writeString(folder.resolve("tokens"), "bob bobs-token-0123456789\n");
    Files.setPosixFilePermissions(tokens, PosixFilePermissions.fromString("rw-------"));
    try (LiveApi closed = LiveApi.start(runs, Map.of("tokens", tokens.toString()));
        GrpcRoad nobody = GrpcRoad.to(closed.grpcPort())) {
      assertThat(health(nobody, "")).isEqualTo(ServingStatus.NOT_SERVING);
      Iterator<HealthCheckResponse> watch =
          HealthGrpc.newBlockingStub(nobody.channel())
              .watch(HealthCheckRequest.getDefaultInstance());
      assertThatThrownBy(watch::hasNext)
          .isInstanceOfSatisfying(
              StatusRuntimeException.class,
              e -> assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.UNAUTHENTICATED));
    }
  }

  @Test
  void shouldRefuseARequestThatIsTooLarge() {
    Road.Refused refused =
        catchThrowableOfType(
            Road.Refused.class, () -> road.create("a".repeat(5 << 20), List.of(), 0, ""));

    assertThat(refused.code).isEqualTo("RESOURCE_EXHAUSTED");
  }

  @Test
  void shouldRefuseNamesThatAreNone() {
    for (String name : List.of("", "run-1", "runs/", "runs/a/b", "runs/..%2f", "runs/a\0b")) {
      Status status = refuse(GetRunRequest.newBuilder().setName(name).build());
      assertThat(status.getCode()).as(name).isEqualTo(Status.Code.INVALID_ARGUMENT);
    }
  }

  @Test
  void shouldTellAReaderWhoWokeTooLateWhyItWasDropped() throws Exception {
    tellMuch(50);
    BlockingQueue<Object> seen = new LinkedBlockingQueue<>();
    ClientCall<WatchRunRequest, RunEvent> call = watch(seen);

    LiveApi.eventually(() -> api.streams().sending() == 1);
    LiveApi.eventually(() -> api.streams().sending() == 0);
    call.request(Integer.MAX_VALUE);

    Object last = seen.poll(10, TimeUnit.SECONDS);
    while (last instanceof RunEvent) {
      last = seen.poll(10, TimeUnit.SECONDS);
    }
    assertThat(last)
        .isInstanceOfSatisfying(
            Status.class,
            status -> {
              assertThat(status.getCode()).isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
              assertThat(status.getDescription()).contains("nothing was read for 1 s");
            });
    LiveApi.eventually(() -> api.streams().open() == 0);
  }

  @Test
  void shouldNotDropAReaderThatHasNothingToRead() throws Exception {
    BlockingQueue<Object> seen = new LinkedBlockingQueue<>();
    ClientCall<WatchRunRequest, RunEvent> call = watch(seen);
    assertThat(seen.poll(10, TimeUnit.SECONDS)).isInstanceOf(RunEvent.class);

    // Longer than a reader may take nothing.
    assertThat(seen.poll(1500, TimeUnit.MILLISECONDS)).isNull();

    call.request(1);
    runs.tell(run, new dev.vard.run.RunEvent.Checkpointed(1, 2, 3));
    assertThat(seen.poll(10, TimeUnit.SECONDS)).isInstanceOf(RunEvent.class);
    call.cancel("enough", null);
  }

  @Test
  void shouldTellWatchersThatItStops() {
    try (Road.Watch watch = road.watch(run, 0)) {
      assertThat(watch.hasNext()).isTrue();
      watch.next();

      api.grpc().close();

      assertThat(catchThrowableOfType(Road.Refused.class, watch::hasNext).code)
          .isEqualTo("UNAVAILABLE");
    }
  }

  @Test
  void shouldRefuseToStartBeyondLoopbackWithoutTokens() {
    assertThatThrownBy(
            () ->
                new GrpcApi(
                        LiveApi.settings(Map.of("host", "0.0.0.0")),
                        runs,
                        new Authenticator(LiveApi.settings(Map.of())),
                        api.streams(),
                        RequestBounds.of(LiveApi.settings(Map.of())))
                    .start())
        .isInstanceOf(SettingsException.class);
    assertThatThrownBy(() -> ApiProperties.of(LiveApi.settings(Map.of("host", "0.0.0.0"))))
        .isInstanceOf(SettingsException.class);
  }

  @Test
  void shouldSayThatAPortIsTaken() {
    assertThatThrownBy(
            () ->
                new GrpcApi(
                        LiveApi.settings(Map.of("grpc-port", api.grpcPort())),
                        runs,
                        new Authenticator(LiveApi.settings(Map.of())),
                        api.streams(),
                        RequestBounds.of(LiveApi.settings(Map.of())))
                    .start())
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("127.0.0.1:" + api.grpcPort());
  }

  /** Takes one event. */
  private ClientCall<WatchRunRequest, RunEvent> watch(BlockingQueue<Object> seen) {
    ClientCall<WatchRunRequest, RunEvent> call =
        road.channel().newCall(RunServiceGrpc.getWatchRunMethod(), CallOptions.DEFAULT);
    call.start(
        new ClientCall.Listener<>() {
          @Override
          public void onMessage(RunEvent event) {
            seen.add(event);
          }

          @Override
          public void onClose(Status status, Metadata trailers) {
            seen.add(status);
          }
        },
        new Metadata());
    call.request(1);
    call.sendMessage(WatchRunRequest.newBuilder().setName("runs/" + run).build());
    call.halfClose();
    return call;
  }

  /** Events of some 40 kB each. */
  private void tellMuch(int events) {
    List<OptionalDouble> rewards =
        Collections.nCopies(5000, OptionalDouble.of(-1234.56789012345678));
    for (int i = 0; i < events; i++) {
      runs.tell(
          run,
          new Evaluated(
              i,
              new dev.vard.statistics.Interval(1, 1, 1),
              rewards,
              1,
              List.of(),
              new SampleSeconds(1, 1, 1),
              RewardMetrics.NONE));
    }
  }

  private Status refuse(GetRunRequest request) {
    return catchThrowableOfType(
            StatusRuntimeException.class,
            () -> RunServiceGrpc.newBlockingStub(road.channel()).getRun(request))
        .getStatus();
  }

  private static ServingStatus health(GrpcRoad road, String service) {
    return HealthGrpc.newBlockingStub(road.channel())
        .check(HealthCheckRequest.newBuilder().setService(service).build())
        .getStatus();
  }
}
