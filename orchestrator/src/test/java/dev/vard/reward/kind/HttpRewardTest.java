package dev.vard.reward.kind;

import static dev.vard.reward.kind.Asked.PATIENCE;
import static dev.vard.reward.kind.Asked.queries;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.vard.api.TestCertificates;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.reward.RewardOutcome.Score;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.RewardSource;
import dev.vard.spec.RewardSource.Access;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Against a real server. */
@Timeout(60)
class HttpRewardTest {
  private HttpRewardServer server;

  @BeforeEach
  void start() throws Exception {
    server = new HttpRewardServer();
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private static Reward open(
      URI url, Access access, Duration timeout, Map<String, String> variables) {
    return new RewardKinds(Asked.environment(Path.of("none"), variables))
        .open(Asked.part(new RewardSource.Http(url, access), Asked.asking(timeout)));
  }

  private Reward open() {
    return open(server.url(), Access.OPEN, PATIENCE, Map.of());
  }

  private Failure failure(Duration timeout) throws Exception {
    try (Reward reward = open(server.url(), Access.OPEN, timeout, Map.of())) {
      List<RewardOutcome> outcomes = reward.score(queries(2));
      assertThat(outcomes).hasSize(2).containsOnly(outcomes.getFirst());
      return (Failure) outcomes.getFirst();
    }
  }

  private void answers(int status, String body) {
    server.answer = (request, exchange) -> HttpRewardServer.give(exchange, status, body);
  }

  private static RewardException refusal(Runnable opening) {
    AtomicReference<RewardException> thrown = new AtomicReference<>();
    assertThatThrownBy(opening::run).isInstanceOfSatisfying(RewardException.class, thrown::set);
    return thrown.get();
  }

  // ------------------------------------------------------------------------------------- scores

  @Test
  void shouldGiveTheScoresOfThePixelsAndPrompts() throws Exception {
    List<RewardQuery> queries = queries(5);
    try (Reward reward = open()) {
      assertThat(reward.score(queries))
          .isEqualTo(queries.stream().map(query -> new Score(Asked.score(query))).toList());
    }
  }

  @Test
  void shouldSendWhatFlowFactorySends() throws Exception {
    try (Reward reward = open()) {
      reward.score(queries(2));
    }
    JsonNode request = server.requests.getFirst();
    assertThat(request.fieldNames())
        .toIterable()
        .containsExactly(
            "prompt",
            "image",
            "video",
            "condition_images",
            "condition_videos",
            "seed",
            "run_id",
            "iteration");
    assertThat(request.get("prompt").get(1).textValue()).isEqualTo("ein Käse №1");
    assertThat(request.get("video").isNull()).isTrue();
    assertThat(request.get("seed").get(1).longValue()).isEqualTo(1);
    assertThat(request.get("run_id").textValue()).isEqualTo("run-1");
    assertThat(request.get("iteration").intValue()).isEqualTo(3);
  }

  @Test
  void shouldLetNaNThrough() throws Exception {
    answers(200, "{\"rewards\": [NaN, -Infinity]}");
    try (Reward reward = open()) {
      assertThat(reward.score(queries(2)))
          .containsExactly(new Score(Double.NaN), new Score(Double.NEGATIVE_INFINITY));
    }
  }

  @Test
  void shouldLeaveTheCountToTheAsker() throws Exception {
    answers(200, "{\"rewards\": [1, 2, 3]}");
    try (Reward reward = open()) {
      assertThat(reward.score(queries(2))).hasSize(3);
    }
  }

  // ----------------------------------------------------------------------------------- failures

  @ParameterizedTest
  @ValueSource(ints = {408, 429, 500, 502, 503, 504})
  void shouldTellWhatMayPass(int status) throws Exception {
    answers(status, "{\"detail\": \"mind\\nthe gap\"}");

    Failure failure = failure(PATIENCE);

    assertThat(failure.retryable()).isTrue();
    assertThat(failure.code()).isEqualTo("HTTP_" + status);
    assertThat(failure.message())
        .contains(server.url() + "compute answered " + status + " (mind the gap); ");
    assertThat(failure.retryAfter()).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(ints = {302, 400, 401, 403, 404, 413, 422})
  void shouldTellWhatLasts(int status) throws Exception {
    answers(status, "no");

    Failure failure = failure(PATIENCE);

    assertThat(failure.retryable()).isFalse();
    assertThat(failure.code()).isEqualTo("HTTP_" + status);
    assertThat(failure.message()).contains(" (no); ");
  }

  @ParameterizedTest
  @ValueSource(ints = {429, 503})
  void shouldSayWhenToAskAgain(int status) throws Exception {
    server.answer =
        (request, exchange) -> {
          exchange.getResponseHeaders().set("Retry-After", "7");
          HttpRewardServer.give(exchange, status, "");
        };

    assertThat(failure(PATIENCE).retryAfter()).contains(Duration.ofSeconds(7));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "null",
        "<html>",
        "{\"rewards\": [1, 2",
        "{\"rewards\": [1, 2]} and more",
        "{\"rewards\": 1}",
        "{\"scores\": [1, 2]}",
        "{\"rewards\": [null, null]}",
        "{\"rewards\": [[1], [1]]}",
        "{\"rewards\": [\"1\", \"1\"]}"
      })
  void shouldTellOfNonsense(String body) throws Exception {
    answers(200, body);

    Failure failure = failure(PATIENCE);

    assertThat(failure.code()).isEqualTo("MALFORMED");
    assertThat(failure.retryable()).isTrue();
    assertThat(failure.message()).contains("let it answer {\"rewards\": [number, …]}");
  }

  @Test
  void shouldTellOfAnErrorInAnAnswer() throws Exception {
    answers(200, "{\"error\": \"no such model\"}");

    Failure failure = failure(PATIENCE);

    assertThat(failure.code()).isEqualTo("REFUSED");
    assertThat(failure.retryable()).isFalse();
    assertThat(failure.message()).endsWith("says: no such model");
  }

  @Test
  void shouldNotReadAnAnswerWithoutEnd() throws Exception {
    server.answer =
        (request, exchange) -> {
          exchange.sendResponseHeaders(200, 0);
          byte[] blanks = " ".repeat(1 << 16).getBytes();
          try (var body = exchange.getResponseBody()) {
            for (int i = 0; i < 1000; i++) {
              body.write(blanks);
            }
          }
        };

    Failure failure = failure(PATIENCE);

    assertThat(failure.code()).isEqualTo("MALFORMED");
    assertThat(failure.message()).contains("more than 1048576 bytes");
  }

  @Test
  void shouldTellOfAServerThatHangs() throws Exception {
    server.answer = (request, exchange) -> server.hang();

    Failure failure = failure(Duration.ofMillis(300));

    assertThat(failure.code()).isEqualTo("TIMEOUT");
    assertThat(failure.retryable()).isTrue();
    assertThat(failure.message()).contains("0.3 s").contains("reward.timeout");
  }

  @Test
  void shouldTellOfAServerThatHangsInTheMidstOfItsAnswer() throws Exception {
    server.answer =
        (request, exchange) -> {
          exchange.sendResponseHeaders(200, 0);
          exchange.getResponseBody().write("{\"rewards\": [".getBytes());
          exchange.getResponseBody().flush();
          server.hang();
        };

    assertThat(failure(Duration.ofMillis(300)).code()).isEqualTo("TIMEOUT");
  }

  @Test
  void shouldTellOfAServerThatHangsUp() throws Exception {
    server.answer =
        (request, exchange) -> {
          exchange.sendResponseHeaders(200, 100);
          exchange.getResponseBody().write('{');
          exchange.getHttpContext().getServer().stop(0);
        };

    Failure failure = failure(PATIENCE);

    assertThat(failure.code()).isEqualTo("UNAVAILABLE");
    assertThat(failure.retryable()).isTrue();
  }

  @Test
  void shouldEndTheCallWhenInterrupted() throws Exception {
    CountDownLatch called = new CountDownLatch(1);
    server.answer =
        (request, exchange) -> {
          called.countDown();
          server.hang();
        };
    try (Reward reward = open()) {
      AtomicReference<Throwable> thrown = new AtomicReference<>();
      Thread thread =
          Thread.ofPlatform()
              .start(
                  () -> {
                    try {
                      reward.score(queries(1));
                    } catch (Throwable e) {
                      thrown.set(e);
                    }
                  });
      called.await();
      thread.interrupt();
      thread.join();

      assertThat(thrown.get()).isInstanceOf(InterruptedException.class);
    }
  }

  // ------------------------------------------------------------------------------------ opening

  @ParameterizedTest
  @CsvSource({"404, ''", "405, ''", "200, all is well"})
  void shouldDoWithoutHealth(int status, String body) throws Exception {
    server.health = exchange -> HttpRewardServer.give(exchange, status, body);

    try (Reward reward = open()) {
      assertThat(reward.score(queries(1))).hasOnlyElementsOfType(Score.class);
    }
  }

  @Test
  void shouldWaitForAServerThatIsNotWellYet() {
    server.health =
        exchange -> HttpRewardServer.give(exchange, 503, "{\"detail\": \"the model loads\"}");

    RewardException refusal = refusal(this::open);

    assertThat(refusal.retryable()).isTrue();
    assertThat(refusal).hasMessageContaining("503").hasMessageContaining("the model loads");
  }

  @Test
  void shouldTellThatNobodyIsThere() throws Exception {
    URI nowhere;
    try (ServerSocket free = new ServerSocket(0)) {
      nowhere = URI.create("http://127.0.0.1:" + free.getLocalPort());
    }

    RewardException refusal = refusal(() -> open(nowhere, Access.OPEN, PATIENCE, Map.of()));

    assertThat(refusal.code()).isEqualTo("UNAVAILABLE");
    assertThat(refusal.retryable()).isTrue();
    assertThat(refusal)
        .hasMessageContaining(nowhere.toString())
        .hasMessageContaining("check that it runs");
  }

  @Test
  void shouldRefuseAUrlWithoutAHost() {
    RewardException refusal =
        refusal(() -> open(URI.create("http://a_b"), Access.OPEN, PATIENCE, Map.of()));

    assertThat(refusal.code()).isEqualTo("BAD_URL");
  }

  // ----------------------------------------------------------------------------------- security

  @Test
  void shouldShowTheToken() throws Exception {
    try (Reward reward =
        open(
            server.url(),
            Asked.withToken(false, Optional.empty()),
            PATIENCE,
            Map.of("VARD_REWARD_TOKEN", "s3cret\n"))) {
      reward.score(queries(1));
    }
    assertThat(server.tokens).containsExactly("Bearer s3cret");
  }

  @Test
  void shouldNotSayATokenInTheClearBeyondThisMachine() {
    RewardException refusal =
        refusal(
            () ->
                open(
                    URI.create("http://192.0.2.1/"),
                    Asked.withToken(false, Optional.empty()),
                    PATIENCE,
                    Map.of("VARD_REWARD_TOKEN", "s3cret")));

    assertThat(refusal.code()).isEqualTo("TOKEN_IN_THE_CLEAR");
    assertThat(refusal).hasMessageNotContaining("s3cret");
  }

  @ParameterizedTest
  @ValueSource(strings = {" ", "two words", "naïve"})
  void shouldRefuseWhatIsNoToken(String value) {
    RewardException refusal =
        refusal(
            () ->
                open(
                    server.url(),
                    Asked.withToken(false, Optional.empty()),
                    PATIENCE,
                    Map.of("VARD_REWARD_TOKEN", value)));

    assertThat(refusal.code()).isEqualTo("NO_TOKEN");
    assertThat(refusal).hasMessageContaining("VARD_REWARD_TOKEN");
  }

  @Test
  void shouldEncrypt(@TempDir Path folder) throws Exception {
    TestCertificates certificates = new TestCertificates(folder);
    certificates.make("reward");
    try (HttpRewardServer encrypted = HttpRewardServer.withTls(certificates.showing("reward"))) {
      Access trusting = Asked.withToken(true, Optional.of(certificates.authority()));
      Access strange = new Access(true, Optional.empty(), Optional.empty());
      Map<String, String> variables = Map.of("VARD_REWARD_TOKEN", "s3cret");

      try (Reward reward = open(encrypted.url(), trusting, PATIENCE, variables)) {
        assertThat(reward.score(queries(1))).hasOnlyElementsOfType(Score.class);
      }
      assertThat(encrypted.tokens).containsExactly("Bearer s3cret");
      assertThat(refusal(() -> open(encrypted.url(), strange, PATIENCE, variables)))
          .hasMessageContaining("reward.ca");
    }
  }

  @Test
  void shouldNameACaThatIsNone(@TempDir Path folder) throws Exception {
    Path file = Files.writeString(folder.resolve("ca.pem"), "no certificate");

    RewardException refusal =
        refusal(
            () ->
                open(
                    URI.create("https://127.0.0.1"),
                    new Access(true, Optional.of(file), Optional.empty()),
                    PATIENCE,
                    Map.of()));

    assertThat(refusal.code()).isEqualTo("BAD_CA");
    assertThat(refusal).hasMessageContaining(file.toString());
  }
}
