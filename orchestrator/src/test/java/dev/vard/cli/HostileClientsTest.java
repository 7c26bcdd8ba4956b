package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.proto.v1.CreateRunRequest;
import dev.vard.proto.v1.RunServiceGrpc;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.netty.NettyChannelBuilder;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Clients that mean harm, or take no care, on loopback; others hear of health all the same. */
@Timeout(180)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class HostileClientsTest {
  private static final Duration HEALTHY = Duration.ofSeconds(1);
  private static final int CONNECTIONS = 200;
  private static final int SLOW_SECONDS = 3;
  private static final int MAX_QUERIES = 100;

  /** Calls of one connection, far more than a client takes back in earnest. */
  private static final int FLOOD = 100_000;

  /** A request whose body does not come. */
  private static final String BEGUN =
      "POST /v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
          + "Content-Length: 1000000\r\n\r\n{";

  private static final String SPEC =
      """
      name: test
      model: {checkpoint: tiny}
      prompts: {list: [a cat, a dog]}
      reward: {kind: jpeg-compressibility}
      algorithm: {kind: ddpo, iterations: 3, samples: 4}
      evaluate: {every: 2, images: 5}
      """;

  private final ObjectMapper mapper = new ObjectMapper();
  private ServerProcess server;

  @BeforeAll
  void start(@TempDir Path folder) throws Exception {
    server =
        new ServerProcess(
            folder,
            "127.0.0.1:1",
            Map.of(
                "VARD_SERVE_MAX_CONNECTIONS", "" + CONNECTIONS,
                "VARD_SERVE_SLOW_REQUEST_SECONDS", "" + SLOW_SECONDS),
            "--max-queries=" + MAX_QUERIES);
    // The first answers load classes.
    liveness();
    health();
  }

  @AfterAll
  void end() throws Exception {
    server.close();
  }

  @Test
  void shouldAnswerHealthWhileLargeSpecificationsAreRead() throws Exception {
    List<String> texts =
        List.of(
            SPEC.replace("reward: {kind: jpeg-compressibility}", "")
                + "reward:\n  kind: sum\n  parts:\n"
                + "  - {}\n".repeat(142_000),
            SPEC + "x: [" + "1,".repeat(495_000) + "]\n",
            "a: 1\n".repeat(200_000));

    staysHealthy(
        () -> {
          List<CompletableFuture<Integer>> answers =
              texts.stream().map(text -> inBackground(() -> create(text))).toList();
          Duration longest = probeUntil(() -> answers.stream().allMatch(CompletableFuture::isDone));
          assertThat(answers).extracting(CompletableFuture::join).containsExactly(400, 400, 400);
          return longest;
        });
  }

  @Test
  void shouldAnswerHealthAndRefuseBodiesThatDoNotArrive() throws Exception {
    staysHealthy(
        () -> {
          List<Socket> uploads = new ArrayList<>();
          try {
            for (int i = 0; i < 64; i++) {
              Socket upload = new Socket("127.0.0.1", server.httpPort());
              uploads.add(upload);
              upload.getOutputStream().write(BEGUN.getBytes(StandardCharsets.US_ASCII));
            }
            CompletableFuture<List<String>> answers =
                inBackground(() -> uploads.stream().map(HostileClientsTest::readAll).toList());
            Duration longest = probeUntil(answers::isDone);
            assertThat(answers.join())
                .allSatisfy(
                    answer ->
                        assertThat(answer)
                            .startsWith("HTTP/1.1 408 ")
                            .contains("has not arrived whole within " + SLOW_SECONDS + " s"));
            return longest;
          } finally {
            closeAll(uploads);
          }
        });
  }

  @Test
  void shouldAnswerHealthAndBoundConnectionsThatAreHeldOpen() throws Exception {
    staysHealthy(
        () -> {
          List<Socket> http = new ArrayList<>();
          List<Socket> grpc = new ArrayList<>();
          try {
            for (int i = 0; i < 500; i++) {
              http.add(new Socket("127.0.0.1", server.httpPort()));
              grpc.add(new Socket("127.0.0.1", server.grpcPort()));
            }
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
            return probeUntil(
                () -> {
                  assertThat(System.nanoTime()).isLessThan(end);
                  return open(http) <= CONNECTIONS && open(grpc) <= CONNECTIONS;
                });
          } finally {
            closeAll(http);
            closeAll(grpc);
          }
        });
  }

  @Test
  void shouldAnswerHealthAndEndAConnectionThatOpensCallsAndTakesThemBack() throws Exception {
    staysHealthy(
        () -> {
          CompletableFuture<Integer> flood = inBackground(this::floodWithResets);
          Duration longest = probeUntil(flood::isDone);
          assertThat(flood.join()).isLessThan(FLOOD);
          return longest;
        });
  }

  @Test
  void shouldRefuseARunThatMayCostTooMuchByBothApis() throws Exception {
    String large = SPEC.replace("samples: 4", "samples: 64");
    String reason =
        "specification: this run may cost 207 reward queries (images scored in training and"
            + " evaluation) above this server's limit of 100";

    HttpResponse<String> rest = post(large);
    StatusRuntimeException grpc =
        catchThrowableOfType(
            StatusRuntimeException.class,
            () ->
                RunServiceGrpc.newBlockingStub(server.channel())
                    .createRun(CreateRunRequest.newBuilder().setSpecification(large).build()));

    JsonNode problem = mapper.readTree(rest.body());
    assertThat(problem.path("code").asText()).isEqualTo("INVALID_ARGUMENT");
    assertThat(problem.path("field").asText()).isEqualTo("specification");
    assertThat(problem.path("detail").asText()).startsWith(reason);
    assertThat(grpc.getStatus().getCode().name()).isEqualTo("INVALID_ARGUMENT");
    assertThat(grpc.getStatus().getDescription()).isEqualTo(problem.path("detail").asText());
    assertThat(create(SPEC)).isEqualTo(201);
  }

  // ------------------------------------------------------------------------------------- health

  /**
   * Attacks, and expects that health was answered in time. A machine that is busy with other things
   * delays an answer too, but not in each of three attacks.
   *
   * @param attack gives the longest answer
   */
  private static void staysHealthy(Callable<Duration> attack) throws Exception {
    List<Duration> longest = new ArrayList<>();
    do {
      longest.add(attack.call());
    } while (longest.getLast().compareTo(HEALTHY) >= 0 && longest.size() < 3);
    assertThat(longest).last(InstanceOfAssertFactories.DURATION).isLessThan(HEALTHY);
  }

  /** Asks both APIs for their health, each time on a new connection; gives the longest answer. */
  private Duration probeUntil(BooleanSupplier over) throws Exception {
    Duration longest = Duration.ZERO;
    while (!over.getAsBoolean()) {
      for (Duration took : List.of(liveness(), health())) {
        longest = took.compareTo(longest) > 0 ? took : longest;
      }
      LockSupport.parkNanos(Duration.ofMillis(50).toNanos());
    }
    return longest;
  }

  private Duration liveness() throws IOException {
    long begun = System.nanoTime();
    try (Socket socket = new Socket("127.0.0.1", server.httpPort())) {
      socket
          .getOutputStream()
          .write(
              "GET /health/liveness HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
                  .getBytes(StandardCharsets.US_ASCII));
      assertThat(readAll(socket)).startsWith("HTTP/1.1 200 ");
    }
    return Duration.ofNanos(System.nanoTime() - begun);
  }

  private Duration health() {
    long begun = System.nanoTime();
    ManagedChannel channel =
        NettyChannelBuilder.forAddress("127.0.0.1", server.grpcPort()).usePlaintext().build();
    try {
      HealthGrpc.newBlockingStub(channel).check(HealthCheckRequest.getDefaultInstance());
      return Duration.ofNanos(System.nanoTime() - begun);
    } finally {
      channel.shutdownNow();
    }
  }

  // ------------------------------------------------------------------------------------- attacks

  private static <T> CompletableFuture<T> inBackground(Supplier<T> attack) {
    return CompletableFuture.supplyAsync(attack, task -> Thread.ofPlatform().daemon().start(task));
  }

  private int create(String specification) {
    return post(specification).statusCode();
  }

  private HttpResponse<String> post(String specification) {
    try (HttpClient client = HttpClient.newHttpClient()) {
      return client.send(
          HttpRequest.newBuilder(server.http("/v1/runs"))
              .header("Content-Type", "application/json")
              .POST(
                  BodyPublishers.ofString(
                      mapper.createObjectNode().put("specification", specification).toString()))
              .build(),
          BodyHandlers.ofString());
    } catch (IOException | InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /**
   * HTTP/2 by hand: calls that are reset as soon as they are made.
   *
   * @return how many were made until the server ended the connection; FLOOD where it did not
   */
  private int floodWithResets() {
    AtomicBoolean ended = new AtomicBoolean();
    try (Socket socket = new Socket("127.0.0.1", server.grpcPort())) {
      DataOutputStream out = new DataOutputStream(socket.getOutputStream());
      out.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
      out.write(new byte[] {0, 0, 0, 4, 0, 0, 0, 0, 0});
      Thread.ofVirtual()
          .start(
              () -> {
                readAll(socket);
                ended.set(true);
              });
      byte[] headers = headers();
      int calls = 0;
      while (calls < FLOOD && !ended.get()) {
        int stream = 2 * calls + 1;
        ByteArrayOutputStream frames = new ByteArrayOutputStream();
        DataOutputStream frame = new DataOutputStream(frames);
        frame.write(new byte[] {0, 0, (byte) headers.length, 1, 4});
        frame.writeInt(stream);
        frame.write(headers);
        frame.write(new byte[] {0, 0, 4, 3, 0});
        frame.writeInt(stream);
        frame.writeInt(8);
        try {
          out.write(frames.toByteArray());
        } catch (IOException e) {
          return calls;
        }
        calls++;
      }
      return calls;
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /** A call's header block: HPACK literals without indexing. */
  private static byte[] headers() throws IOException {
    ByteArrayOutputStream block = new ByteArrayOutputStream();
    String[] fields = {
      ":method", "POST",
      ":scheme", "http",
      ":path", "/vard.v1.RunService/GetRun",
      ":authority", "localhost",
      "te", "trailers",
      "content-type", "application/grpc"
    };
    for (int i = 0; i < fields.length; i += 2) {
      block.write(0);
      for (String text : List.of(fields[i], fields[i + 1])) {
        block.write(text.length());
        block.write(text.getBytes(StandardCharsets.US_ASCII));
      }
    }
    return block.toByteArray();
  }

  // ------------------------------------------------------------------------------------- sockets

  private static String readAll(Socket socket) {
    try {
      return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      return e.toString();
    }
  }

  private static long open(List<Socket> sockets) {
    return sockets.stream().filter(HostileClientsTest::isOpen).count();
  }

  private static boolean isOpen(Socket socket) {
    try {
      socket.setSoTimeout(1);
      InputStream in = socket.getInputStream();
      while (in.read() >= 0) {
        // What a server says first.
      }
      return false;
    } catch (SocketTimeoutException e) {
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  private static void closeAll(List<Socket> sockets) throws IOException {
    for (Socket socket : sockets) {
      socket.close();
    }
  }
}
