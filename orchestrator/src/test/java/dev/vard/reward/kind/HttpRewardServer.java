package dev.vard.reward.kind;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import dev.vard.reward.Image;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import javax.imageio.ImageIO;
import javax.net.ssl.SSLContext;

/** A real server of the HTTP kind on loopback that answers as a test wants. */
public final class HttpRewardServer implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Answers one call. */
  public interface Answer {
    void to(JsonNode request, HttpExchange exchange) throws IOException;
  }

  /** What came to {@code /compute}, in the order in which it came. */
  final List<JsonNode> requests = new CopyOnWriteArrayList<>();

  final List<String> tokens = new CopyOnWriteArrayList<>();

  public volatile Answer answer = HttpRewardServer::scoreAll;
  volatile HttpHandler health = exchange -> give(exchange, 200, "{\"status\": \"ok\"}");

  private final CountDownLatch closed = new CountDownLatch(1);
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final HttpServer server;
  private final String scheme;

  public HttpRewardServer() throws IOException {
    this(HttpServer.create(loopback(), 0), "http");
  }

  static HttpRewardServer withTls(SSLContext context) throws IOException {
    HttpsServer server = HttpsServer.create(loopback(), 0);
    server.setHttpsConfigurator(new HttpsConfigurator(context));
    return new HttpRewardServer(server, "https");
  }

  private HttpRewardServer(HttpServer server, String scheme) {
    this.server = server;
    this.scheme = scheme;
    server.setExecutor(threads);
    server.createContext("/health", exchange -> health.handle(exchange));
    server.createContext("/compute", this::compute);
    server.start();
  }

  private static InetSocketAddress loopback() {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
  }

  public URI url() {
    return URI.create(scheme + "://127.0.0.1:" + server.getAddress().getPort() + "/");
  }

  private void compute(HttpExchange exchange) throws IOException {
    String token = exchange.getRequestHeaders().getFirst("Authorization");
    if (token != null) {
      tokens.add(token);
    }
    JsonNode request = JSON.readTree(exchange.getRequestBody());
    requests.add(request);
    answer.to(request, exchange);
  }

  static void scoreAll(JsonNode request, HttpExchange exchange) throws IOException {
    List<Double> rewards = new ArrayList<>();
    for (int i = 0; i < request.get("image").size(); i++) {
      rewards.add(score(request, i));
    }
    give(exchange, 200, "{\"rewards\": " + rewards + "}");
  }

  static double score(JsonNode request, int index) throws IOException {
    byte[] png = request.get("image").get(index).binaryValue();
    Image image = Image.of(ImageIO.read(new ByteArrayInputStream(png)));
    return Asked.score(
        image.toBytes(),
        image.height(),
        image.width(),
        request.get("prompt").get(index).textValue());
  }

  public static void give(HttpExchange exchange, int status, String body) throws IOException {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
    exchange.getResponseBody().write(bytes);
    exchange.close();
  }

  /** Leaves a call open until the server is closed. */
  void hang() {
    try {
      closed.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    closed.countDown();
    server.stop(0);
    threads.shutdownNow();
  }
}
