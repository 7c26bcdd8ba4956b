package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.proto.v1.RunServiceGrpc;
import dev.vard.run.RunStatus;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Requests that arrive slowly, in part, or never, at a live server. */
@Timeout(60)
class ArrivalTest {
  private final InMemoryRuns runs = new InMemoryRuns();
  private LiveApi api;

  private void start(Map<String, Object> settings) {
    api = LiveApi.start(runs, settings);
  }

  @AfterEach
  void end() {
    api.close();
  }

  @Test
  void shouldCloseAConnectionThatAsksForNothing() throws Exception {
    start(Map.of("slow-request-seconds", 1));

    try (Socket silent = connect()) {
      assertThat(read(silent)).isEmpty();
    }
  }

  @Test
  void shouldSayThatABodyCameTooSlowly() throws Exception {
    start(Map.of("slow-request-seconds", 1));

    try (Socket slow = connect()) {
      send(slow, post(1_000) + "{");

      assertThat(read(slow))
          .startsWith("HTTP/1.1 408 ")
          .contains("application/problem+json", "\"code\":\"DEADLINE_EXCEEDED\"", "within 1 s");
    }
  }

  @Test
  void shouldSayThatACallsRequestCameTooSlowly() throws Exception {
    start(Map.of("slow-request-seconds", 1));

    try (GrpcRoad road = GrpcRoad.to(api.grpcPort())) {
      Status status = half(road, null).get(20, TimeUnit.SECONDS);

      assertThat(status.getCode()).isEqualTo(Status.Code.DEADLINE_EXCEEDED);
      assertThat(status.getDescription()).contains("has not arrived whole within 1 s");
    }
  }

  @Test
  void shouldBoundWhatUnfinishedRequestsHold() throws Exception {
    start(Map.of("max-buffered-bytes", 100_000));

    try (Socket first = connect();
        Socket second = connect();
        GrpcRoad road = GrpcRoad.to(api.grpcPort())) {
      send(first, post(1_000_000) + " ".repeat(60_000));
      LiveApi.eventually(() -> api.bounds().buffered().held() == 60_000);
      send(second, post(1_000_000) + " ".repeat(60_000));

      assertThat(read(second))
          .startsWith("HTTP/1.1 429 ")
          .contains("\"code\":\"RESOURCE_EXHAUSTED\"", "(100000)");

      // A message that says that it is longer than what comes.
      byte[] part = new byte[60_000];
      assertThat(half(road, part).get(20, TimeUnit.SECONDS).getCode())
          .isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
    }
    // What was held is free again.
    LiveApi.eventually(() -> api.bounds().buffered().held() == 0);
    try (GrpcRoad road = GrpcRoad.to(api.grpcPort())) {
      assertThat(road.create("x".repeat(50_000), List.of(), 0, "").state()).isEqualTo("WAITING");
      assertThat(RestRoad.to(api).create("x".repeat(50_000), List.of(), 0, "").state())
          .isEqualTo("WAITING");
    }
  }

  @Test
  void shouldHoldNothingOfWhoIsNotLetIn(@TempDir Path folder) throws Exception {
    Path tokens = Files.writeString(folder.resolve("tokens"), "bob bobs-token-0123456789\n");
    Files.setPosixFilePermissions(tokens, PosixFilePermissions.fromString("rw-------"));
    start(Map.of("max-buffered-bytes", 100_000, "tokens", tokens.toString()));

    try (Socket nobody = connect()) {
      send(nobody, post(10_000_000));
      assertThat((char) nobody.getInputStream().read()).isEqualTo('H');
      for (int i = 0; i < 30; i++) {
        try {
          send(nobody, " ".repeat(10_000));
        } catch (SocketException e) {
          break; // It may be turned away altogether.
        }
        assertThat(api.bounds().buffered().held()).isLessThan(100_000);
      }
      try (Road bob = RestRoad.to(api).as("bobs-token-0123456789")) {
        assertThat(bob.create("x".repeat(90_000), List.of(), 0, "").state()).isEqualTo("WAITING");
      }
    }
  }

  @Test
  void shouldMakeRoomByTheConnectionThatWasOutOfUseLongest() throws Exception {
    start(Map.of("max-connections", 2));
    Road rest = RestRoad.to(api);
    try (GrpcRoad grpc = GrpcRoad.to(api.grpcPort())) {
      for (Road road : List.of(rest, grpc)) {
        int port = road == rest ? api.http("/").getPort() : api.grpcPort();
        String run = road.create("name: fox", List.of(), 0, "").name().substring("runs/".length());
        try (Road.Watch watch = road.watch(run, 0)) {
          assertThat(watch.hasNext()).isTrue();
          watch.next();
          for (int i = 0; i < 5; i++) {
            // Each pushes out the one before, and none of them the watcher.
            try (Socket held = new Socket("127.0.0.1", port);
                Socket next = new Socket("127.0.0.1", port)) {
              read(held);
              assertThat(next.isConnected()).isTrue();
            }
          }
          runs.move(run, RunStatus.CANCELLED);
          assertThat(watch.hasNext()).isTrue();
        }
      }
    } finally {
      rest.close();
    }
  }

  @Test
  void shouldRefuseAConnectionWhereAllAreInUse() throws Exception {
    start(Map.of("max-connections", 1));
    Road rest = RestRoad.to(api);
    String run = rest.create("name: fox", List.of(), 0, "").name().substring("runs/".length());

    try (Road.Watch watch = rest.watch(run, 0)) {
      assertThat(watch.hasNext()).isTrue();
      watch.next();
      try (Socket refused = connect()) {
        assertThat(read(refused)).isEmpty();
      }
      runs.move(run, RunStatus.CANCELLED);
      assertThat(watch.hasNext()).isTrue();
    }
    rest.close();
  }

  // ------------------------------------------------------------------------------------- helpers

  private Socket connect() throws IOException {
    Socket socket = new Socket("127.0.0.1", api.http("/").getPort());
    socket.setSoTimeout(20_000);
    return socket;
  }

  private static String post(int length) {
    return ("POST /v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            + "Content-Length: %d\r\n\r\n")
        .formatted(length);
  }

  private static void send(Socket socket, String text) throws IOException {
    socket.getOutputStream().write(text.getBytes(StandardCharsets.US_ASCII));
  }

  /** All until the server ends it. */
  private static String read(Socket socket) throws IOException {
    try {
      return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    } catch (SocketException e) {
      return "";
    }
  }

  /**
   * A call whose request does not end.
   *
   * @param bytes of a message, which is not the last; null for none
   */
  private static CompletableFuture<Status> half(GrpcRoad road, byte[] bytes) {
    CompletableFuture<Status> ended = new CompletableFuture<>();
    MethodDescriptor<byte[], byte[]> method =
        MethodDescriptor.<byte[], byte[]>newBuilder(new Bytes(), new Bytes())
            .setType(MethodDescriptor.MethodType.BIDI_STREAMING)
            .setFullMethodName(RunServiceGrpc.getCreateRunMethod().getFullMethodName())
            .build();
    ClientCall<byte[], byte[]> call = road.channel().newCall(method, CallOptions.DEFAULT);
    call.start(
        new ClientCall.Listener<>() {
          @Override
          public void onClose(Status status, Metadata trailers) {
            ended.complete(status);
          }
        },
        new Metadata());
    call.request(1);
    if (bytes != null) {
      call.sendMessage(bytes);
    }
    return ended;
  }

  private static final class Bytes implements MethodDescriptor.Marshaller<byte[]> {
    @Override
    public InputStream stream(byte[] value) {
      return new ByteArrayInputStream(value);
    }

    @Override
    public byte[] parse(InputStream stream) {
      try {
        return stream.readAllBytes();
      } catch (IOException e) {
        throw new AssertionError(e);
      }
    }
  }
}
