package dev.vard.reward.kind;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.AskingSpec;
import dev.vard.spec.RewardSource;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * A server that scores pictures over HTTP, as Flow-Factory's reward servers do.
 *
 * <p>{@code POST /compute} takes
 *
 * <pre>
 * {"prompt": ["a cat", …],
 *  "image": ["…", …],          PNG in base64, one for each prompt
 *  "video": null, "condition_images": null, "condition_videos": null,
 *  "seed": [7, …], "run_id": "…", "iteration": 3}
 * </pre>
 *
 * where the last line is ours and may be ignored. Its answer is 200 and
 *
 * <pre>
 * {"rewards": [0.7, …]}        a number for each image, in their order; larger is better
 * </pre>
 *
 * or a status that says what is wrong: 408, 429 and 5xx are asked again, after {@code Retry-After}
 * where it is given, others are not. {@code "error"} in an answer of 200 is a failure too.
 *
 * <p>{@code GET /health} is asked once, before a run; any 2xx will do, and so will a server without
 * it.
 */
final class HttpReward implements Reward {
  private static final Duration OPENING = Duration.ofSeconds(10);

  /** Of an answer: more than 10,000 scores. */
  private static final int MOST_BYTES = 1 << 20;

  /** Python's json writes NaN where others refuse: let it be told from what is no JSON. */
  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private final String name;
  private final URI compute;
  private final URI health;
  private final Duration timeout;
  private final Optional<String> token;
  private final HttpClient client;

  private HttpReward(
      String name, URI url, Duration timeout, Optional<String> token, HttpClient client) {
    this.name = name;
    String base = url.toString().replaceAll("/+$", "");
    this.compute = URI.create(base + "/compute");
    this.health = URI.create(base + "/health");
    this.timeout = timeout;
    this.token = token;
    this.client = client;
  }

  /**
   * Asks the server whether it is well.
   *
   * @throws RewardException if it is not, or will not be asked
   */
  static HttpReward open(
      String name, RewardSource.Http source, AskingSpec asking, RewardEnvironment environment) {
    String host = source.url().getHost();
    if (host == null) {
      throw new RewardException(
          name, "BAD_URL", "reward.url: '%s' names no host".formatted(source.url()), false, null);
    }
    Optional<String> token =
        RemoteAccess.token(
            name, source.access(), List.of(host.replaceAll("[\\[\\]]", "")), environment);
    HttpClient.Builder client =
        HttpClient.newBuilder()
            .connectTimeout(OPENING)
            // An offer of HTTP/2 in the clear is more than some servers can make sense of.
            .version(
                source.access().tls() ? HttpClient.Version.HTTP_2 : HttpClient.Version.HTTP_1_1);
    source.access().ca().ifPresent(file -> client.sslContext(trusting(name, file)));
    HttpReward reward = new HttpReward(name, source.url(), asking.timeout(), token, client.build());
    try {
      reward.checkHealth();
      return reward;
    } catch (RuntimeException e) {
      reward.close();
      throw e;
    }
  }

  private static SSLContext trusting(String name, Path file) {
    try (InputStream in = Files.newInputStream(file)) {
      KeyStore store = KeyStore.getInstance("PKCS12");
      store.load(null, null);
      int count = 0;
      for (Certificate certificate :
          CertificateFactory.getInstance("X.509").generateCertificates(in)) {
        store.setCertificateEntry("ca-" + count++, certificate);
      }
      TrustManagerFactory trust =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      trust.init(store);
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(null, trust.getTrustManagers(), null);
      return context;
    } catch (IOException | GeneralSecurityException e) {
      throw new RewardException(
          name, "BAD_CA", "%s is no readable PEM file of certificates".formatted(file), false, e);
    }
  }

  private void checkHealth() {
    Optional<Failure> failure;
    try {
      HttpResponse<byte[]> response = exchange(request(health).GET(), OPENING);
      boolean has = response.statusCode() != 404 && response.statusCode() != 405;
      failure =
          has && response.statusCode() / 100 != 2
              ? Optional.of(failure(health, response))
              : Optional.empty();
    } catch (IOException | TimeoutException e) {
      failure = Optional.of(failure(e, OPENING));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      failure = Optional.of(new Failure("INTERRUPTED", "it was told to stop", false));
    }
    failure.ifPresent(
        wrong -> {
          throw new RewardException(name, wrong.code(), wrong.message(), wrong.retryable(), null);
        });
  }

  @Override
  public String name() {
    return name;
  }

  /** It does not say: as the specification wants. */
  @Override
  public int batch() {
    return Integer.MAX_VALUE;
  }

  @Override
  public List<RewardOutcome> score(List<RewardQuery> queries) throws InterruptedException {
    HttpRequest.Builder request =
        request(compute)
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofByteArray(body(queries)));
    try {
      HttpResponse<byte[]> response = exchange(request, timeout);
      return response.statusCode() / 100 == 2
          ? outcomes(response.body(), queries.size())
          : all(queries.size(), failure(compute, response));
    } catch (IOException | TimeoutException e) {
      return all(queries.size(), failure(e, timeout));
    }
  }

  /** What is sent, member for member. */
  private record Compute(
      List<String> prompt,
      List<byte[]> image,
      // Jackson leaves out what can only be null, unless it is told to take it.
      @JsonProperty("video") Void video,
      @JsonProperty("condition_images") Void conditionImages,
      @JsonProperty("condition_videos") Void conditionVideos,
      List<Long> seed,
      @JsonProperty("run_id") String runId,
      int iteration) {}

  private static byte[] body(List<RewardQuery> queries) {
    RewardQuery first = queries.getFirst();
    Compute compute =
        new Compute(
            queries.stream().map(RewardQuery::prompt).toList(),
            queries.stream().map(query -> query.image().toPng()).toList(),
            null,
            null,
            null,
            queries.stream().map(RewardQuery::seed).toList(),
            first.runId(),
            first.iteration());
    try {
      return JSON.writeValueAsBytes(compute);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("strings and numbers are JSON", e);
    }
  }

  private HttpRequest.Builder request(URI uri) {
    HttpRequest.Builder request = HttpRequest.newBuilder(uri).header("Accept", "application/json");
    token.ifPresent(secret -> request.header("Authorization", "Bearer " + secret));
    return request;
  }

  /** The client's own timeout ends with the headers; this one covers the whole answer. */
  private HttpResponse<byte[]> exchange(HttpRequest.Builder request, Duration patience)
      throws IOException, InterruptedException, TimeoutException {
    CompletableFuture<HttpResponse<byte[]>> answer =
        client.sendAsync(request.build(), info -> new BoundedBody(MOST_BYTES));
    try {
      return answer.get(patience.toNanos(), TimeUnit.NANOSECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IOException failed) {
        throw failed;
      }
      throw new IllegalStateException("the HTTP client failed", e.getCause());
    } finally {
      answer.cancel(true); // of what is done already, nothing
    }
  }

  private List<RewardOutcome> outcomes(byte[] body, int queries) {
    JsonNode answer;
    try {
      answer = JSON.readTree(body);
    } catch (IOException e) {
      return all(queries, malformed("answered with what is no JSON: " + quoted(body)));
    }
    JsonNode error = answer.path("error");
    if (!error.isMissingNode() && !error.isNull() && !error.asText("-").isEmpty()) {
      return all(
          queries, new Failure("REFUSED", "%s says: %s".formatted(compute, quoted(error)), false));
    }
    JsonNode rewards = answer.path("rewards");
    if (!rewards.isArray()) {
      return all(queries, malformed("answered without a list of rewards: " + quoted(answer)));
    }
    List<RewardOutcome> outcomes = new ArrayList<>();
    for (JsonNode reward : rewards) {
      outcomes.add(
          reward.isNumber()
              ? new RewardOutcome.Score(reward.doubleValue())
              : malformed("gave %s, which is no number".formatted(quoted(reward))));
    }
    return outcomes;
  }

  private Failure malformed(String what) {
    return new Failure(
        "MALFORMED",
        "%s %s; let it answer {\"rewards\": [number, …]}".formatted(compute, what),
        true);
  }

  private Failure failure(URI uri, HttpResponse<byte[]> response) {
    int status = response.statusCode();
    boolean passes = status == 408 || status == 429 || status >= 500;
    String cure =
        switch (status) {
          case 301, 302, 303, 307, 308 ->
              "give reward.url where it leads to: "
                  + Quoted.of(response.headers().firstValue("Location").orElse("it does not say"));
          case 401, 403 -> "set reward.token-env to an environment variable that holds its token";
          case 404, 405 -> "check reward.url";
          case 413 -> "give reward.batch less, or let the server take more";
          case 429 -> "give reward.concurrency or reward.batch less";
          default -> "see the server's log";
        };
    return new Failure(
        "HTTP_" + status,
        "%s answered %d%s; %s".formatted(uri, status, detail(response.body()), cure),
        passes,
        passes
            ? response
                .headers()
                .firstValue("Retry-After")
                .flatMap(value -> RetryAfter.parse(value, Clock.systemUTC()))
            : Optional.empty());
  }

  /** What FastAPI and others say in words. */
  private static String detail(byte[] body) {
    String said;
    try {
      JsonNode answer = JSON.readTree(body);
      said = quoted(answer.has("detail") ? answer.get("detail") : answer);
    } catch (IOException e) {
      said = quoted(body);
    }
    return said.isEmpty() ? "" : " (" + said + ")";
  }

  private Failure failure(Exception e, Duration patience) {
    return switch (e) {
      case TimeoutException late ->
          new Failure(
              "TIMEOUT",
              "%s gave no answer within %s s; check that it is not stuck, or give reward.timeout more, or reward.batch less"
                  .formatted(compute, patience.toMillis() / 1000.0),
              true);
      case BoundedBody.TooLargeException large -> malformed(String.valueOf(large.getMessage()));
      default ->
          new Failure(
              "UNAVAILABLE",
              "no reward server answers at %s (%s); check that it runs, that the URL is right, and, of https, that reward.ca names its authority"
                  .formatted(compute, Quoted.of(e.toString())),
              true);
    };
  }

  private static List<RewardOutcome> all(int queries, Failure failure) {
    return Collections.nCopies(queries, failure);
  }

  private static String quoted(JsonNode said) {
    return Quoted.of(said.isTextual() ? said.textValue() : said.toString());
  }

  private static String quoted(byte[] said) {
    return Quoted.of(new String(said, StandardCharsets.UTF_8));
  }

  @Override
  public void close() {
    client.shutdownNow();
  }
}
