package dev.vard.reward.kind;

import static dev.vard.reward.kind.Asked.PATIENCE;
import static dev.vard.reward.kind.Asked.queries;
import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.reward.Reward;
import dev.vard.reward.RewardOutcome.Failure;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a run hears of a server that does not score. */
class HttpRewardFailuresTest extends HttpRewardBehaviour {
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
}
