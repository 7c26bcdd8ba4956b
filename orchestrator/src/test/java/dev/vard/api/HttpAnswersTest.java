package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.vard.serve.Caller;
import dev.vard.serve.Runs;
import dev.vard.serve.Runs.Creation;
import java.io.InputStream;
import java.lang.reflect.Proxy;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What HTTP has and gRPC has not: problems, headers, health, the document. Without tokens. */
class HttpAnswersTest {
  private static final InMemoryRuns RUNS = new InMemoryRuns();
  private static LiveApi api;
  private static RestRoad rest;
  private static String run;

  @BeforeAll
  static void start() {
    api = LiveApi.start(RUNS, Map.of());
    rest = RestRoad.to(api);
    run =
        RUNS.create(new Caller("local", true, ""), new Creation("name: fox", List.of(), 0, ""))
            .run()
            .id();
  }

  @AfterAll
  static void end() {
    rest.close();
    api.close();
  }

  // ------------------------------------------------------------------------------------- problems

  @ParameterizedTest
  @CsvSource({
    "GET, nothing/here, 404, NOT_FOUND",
    "GET, v1/runs/a%20b, 404, NOT_FOUND",
    "GET, v1/runs/%00, 404, NOT_FOUND",
    "PUT, v1/runs, 405, UNIMPLEMENTED",
    "TRACE, v1/runs, 405, UNIMPLEMENTED",
    "GET, v1/runs?page_size=many, 400, INVALID_ARGUMENT",
    "GET, v1/runs?page_size=99999999999, 400, INVALID_ARGUMENT",
    "GET, beans, 404, NOT_FOUND",
    "GET, env, 404, NOT_FOUND",
    "POST, stop, 404, NOT_FOUND",
  })
  void shouldSayWhatIsWrong(String method, String path, int status, String code) throws Exception {
    is(problem(rest.request(path).method(method, BodyPublishers.noBody())), status, code);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{",
        "null",
        "[]",
        "\"text\"",
        "{} {}",
        "{\"specification\": 7}",
        "{\"specification\": null}",
        "{\"priority\": 1}",
        "{\"specification\": \"a\", \"priority\": \"1\"}",
        "{\"specification\": \"a\", \"priority\": 1.5}",
        "{\"specification\": \"a\", \"priority\": 1e99}",
        "{\"specification\": \"a\", \"overrides\": \"b\"}",
        "{\"specification\": \"a\", \"overrides\": [1]}",
        "{\"specification\": \"a\", \"request_id\": \"\"}",
        "{\"specification\": \"a\", \"specification\": \"b\"}",
        "{\"specification\": \"a\", \"sneaky\": 1}",
      })
  void shouldRefuseABodyThatIsNoCreation(String body) throws Exception {
    is(problem(creation("application/json", body)), 400, "INVALID_ARGUMENT");
  }

  @Test
  void shouldRefuseABodyThatIsNoText() throws Exception {
    is(
        problem(
            rest.request("v1/runs")
                .header("Content-Type", "application/json")
                .POST(BodyPublishers.ofByteArray(new byte[] {'"', (byte) 0xff, '"'}))),
        400,
        "INVALID_ARGUMENT");
  }

  @Test
  void shouldRefuseABodyThatIsNotJson() throws Exception {
    is(problem(creation("text/yaml", "name: fox")), 415, "INVALID_ARGUMENT");
  }

  @Test
  void shouldRefuseABodyThatIsTooLarge() throws Exception {
    is(problem(creation("application/json", "a".repeat(5 << 20))), 413, "RESOURCE_EXHAUSTED");
  }

  @Test
  void shouldRefuseToAnswerInATypeThatItHasNot() throws Exception {
    is(problem(rest.request("v1/runs").header("Accept", "image/png")), 406, "INVALID_ARGUMENT");
  }

  @Test
  void shouldSayWhichMethodsThereAre() {
    HttpResponse<byte[]> response =
        rest.send(rest.request("v1/runs/" + run + ":cancel").DELETE(), BodyHandlers.ofByteArray());

    assertThat(response.headers().firstValue("allow")).contains("POST");
  }

  @Test
  void shouldTellNothingOfADefect() throws Exception {
    Runs broken =
        (Runs)
            Proxy.newProxyInstance(
                Runs.class.getClassLoader(),
                new Class<?>[] {Runs.class},
                (proxy, method, arguments) -> {
                  if (method.getDeclaringClass() == Object.class) {
                    return method.getName().equals("hashCode") ? (Object) 1 : proxy == arguments[0];
                  }
                  throw new IllegalStateException("jdbc:secret");
                });
    try (LiveApi defective = LiveApi.start(broken, Map.of());
        RestRoad road = RestRoad.to(defective);
        GrpcRoad grpc = GrpcRoad.to(defective.grpcPort())) {
      HttpResponse<byte[]> response =
          road.send(road.request("v1/runs"), BodyHandlers.ofByteArray());

      is(response, 500, "INTERNAL");
      assertThat(new String(response.body(), StandardCharsets.UTF_8)).doesNotContain("secret");
      assertThat(refused(() -> grpc.get("any")).code).isEqualTo("INTERNAL");
      assertThat(refused(() -> grpc.get("any"))).message().doesNotContain("secret");
    }
  }

  @Test
  void shouldRefuseWhatIsNotHttp() throws Exception {
    try (Socket socket = new Socket()) {
      socket.connect(new InetSocketAddress("127.0.0.1", api.http("/").getPort()));
      socket
          .getOutputStream()
          .write(
              "GET /v1/runs/%zz HTTP/1.1\r\nHost: a\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
      InputStream in = socket.getInputStream();

      assertThat(new String(in.readNBytes(12), StandardCharsets.US_ASCII))
          .isEqualTo("HTTP/1.1 400");
    }
  }

  // ------------------------------------------------------------------------------------- pages of
  // other sites

  @Test
  void shouldRefuseAPageOfAnotherSite() throws Exception {
    is(
        problem(
            rest.request("v1/runs/" + run + ":cancel")
                .header("Origin", "https://evil.example")
                .POST(BodyPublishers.noBody())),
        403,
        "PERMISSION_DENIED");
  }

  @Test
  void shouldLetAPageOfItsOwnSite() {
    String own = api.http("").toString().replaceFirst("/$", "");

    rest.json(200, rest.request("v1/runs").header("Origin", own));
  }

  @Test
  void shouldNotAnswerUnderANameThatAnotherSiteMadeUp() throws Exception {
    try (Socket socket = new Socket()) {
      socket.connect(new InetSocketAddress("127.0.0.1", api.http("/").getPort()));
      socket
          .getOutputStream()
          .write(
              "GET /v1/runs HTTP/1.1\r\nHost: rebound.example\r\n\r\n"
                  .getBytes(StandardCharsets.US_ASCII));

      assertThat(new String(socket.getInputStream().readNBytes(12), StandardCharsets.US_ASCII))
          .isEqualTo("HTTP/1.1 403");
    }
  }

  // ------------------------------------------------------------------------------------- answers

  @Test
  void shouldSayWhereTheNewRunIs() throws Exception {
    HttpResponse<byte[]> response =
        rest.send(
            creation("application/json", "{\"specification\": \"name: fox\"}"),
            BodyHandlers.ofByteArray());

    String location = response.headers().firstValue("location").orElseThrow();
    String name = new JsonMapper().readTree(response.body()).path("name").asText();
    assertThat(location).isEqualTo("/v1/" + name);
    rest.json(200, rest.request(location.substring(1)));
  }

  @Test
  void shouldGiveAPageOfEventsWhereNoStreamIsAskedFor() {
    JsonNode page =
        rest.json(200, rest.request("v1/runs/" + run + "/events?after_sequence=0&page_size=1"));

    assertThat(page.path("events")).hasSize(1);
    assertThat(page.path("events").get(0).path("sequence").asInt()).isEqualTo(1);
    assertThat(page.path("events").get(0).path("event").path("event").asText())
        .isEqualTo("state_changed");
  }

  @Test
  void shouldGoOnAfterTheEventThatABrowserSawLast() throws Exception {
    String cancelled = rest.create("name: fox", List.of(), 0, "").name().substring(5);
    rest.cancel(cancelled);

    HttpResponse<String> response =
        rest.send(
            rest.request("v1/runs/" + cancelled + "/events?after_sequence=0")
                .header("Accept", "text/event-stream")
                .header("Last-Event-ID", "1"),
            BodyHandlers.ofString());

    assertThat(response.body()).contains("id: 2\n").doesNotContain("id: 1\n");
  }

  @Test
  void shouldTellABrowserNotToComeBackAfterTheEnd() {
    String cancelled = rest.create("name: fox", List.of(), 0, "").name().substring(5);
    rest.cancel(cancelled);

    HttpResponse<String> response =
        rest.send(
            rest.request("v1/runs/" + cancelled + "/events")
                .header("Accept", "text/event-stream")
                .header("Last-Event-ID", "2"),
            BodyHandlers.ofString());

    assertThat(response.statusCode()).isEqualTo(204);
  }

  @Test
  void shouldLetNoFileSpeakForThisSite() {
    RUNS.file(run, "report.html", "<script>".getBytes(StandardCharsets.UTF_8));

    HttpResponse<byte[]> response =
        rest.send(
            rest.request("v1/runs/" + run + "/artifacts/report.html"), BodyHandlers.ofByteArray());

    assertThat(response.headers().firstValue("content-security-policy"))
        .contains("sandbox allow-scripts");
    assertThat(response.headers().firstValue("x-content-type-options")).contains("nosniff");
    assertThat(response.headers().firstValueAsLong("content-length")).hasValue(8);
  }

  // ------------------------------------------------------------------------------------- for
  // everybody

  @Test
  void shouldServeItsDescription() {
    HttpResponse<String> response =
        rest.send(rest.request("openapi.yaml"), BodyHandlers.ofString());

    assertThat(response.headers().firstValue("content-type")).contains("application/yaml");
    assertThat(response.body())
        .startsWith("openapi: 3.1.0\n")
        .contains(
            "CreateRun",
            "GetRun",
            "ListRuns",
            "WatchRun",
            "CancelRun",
            "ResumeRun",
            "DeleteRun",
            "ListSamples",
            "ListArtifacts",
            "DownloadArtifact");
  }

  @ParameterizedTest
  @ValueSource(strings = {"health/liveness", "health/readiness"})
  void shouldTellOfItsHealth(String path) {
    assertThat(rest.json(200, rest.request(path)).path("status").asText()).isEqualTo("UP");
  }

  // ------------------------------------------------------------------------------------- helpers

  private static HttpRequest.Builder creation(String type, String body) {
    return rest.request("v1/runs").header("Content-Type", type).POST(BodyPublishers.ofString(body));
  }

  private static HttpResponse<byte[]> problem(HttpRequest.Builder request) {
    return rest.send(request, BodyHandlers.ofByteArray());
  }

  private static void is(HttpResponse<byte[]> response, int status, String code) throws Exception {
    assertThat(response.statusCode()).isEqualTo(status);
    assertThat(response.headers().firstValue("content-type")).contains("application/problem+json");
    JsonNode problem = new JsonMapper().readTree(response.body());
    assertThat(problem.path("type").asText()).isEqualTo("about:blank");
    assertThat(problem.path("title").asText()).isNotBlank();
    assertThat(problem.path("status").asInt()).isEqualTo(status);
    assertThat(problem.path("detail").asText()).isNotBlank();
    assertThat(problem.path("code").asText()).isEqualTo(code);
  }

  private static Road.Refused refused(org.assertj.core.api.ThrowableAssert.ThrowingCallable call) {
    return org.assertj.core.api.Assertions.catchThrowableOfType(Road.Refused.class, call);
  }
}
