package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.stream.Collectors;

/** By HTTP. */
final class RestRoad implements Road {
  private final HttpClient client;
  private final URI root;
  private final String token;
  private final JsonMapper mapper = new JsonMapper();

  RestRoad(HttpClient client, URI root, String token) {
    this.client = client;
    this.root = root;
    this.token = token;
  }

  static RestRoad to(LiveApi api) {
    return new RestRoad(
        HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build(), api.http("/"), "");
  }

  @Override
  public Road as(String token) {
    return new RestRoad(client, root, token);
  }

  @Override
  public Run create(String specification, List<String> overrides, int priority, String requestId) {
    ObjectNode body = mapper.createObjectNode();
    body.put("specification", specification).put("priority", priority);
    overrides.forEach(body.putArray("overrides")::add);
    if (!requestId.isEmpty()) {
      body.put("request_id", requestId);
    }
    return run(
        json(
            201,
            request("v1/runs")
                .header("Content-Type", "application/json")
                .POST(BodyPublishers.ofString(body.toString()))));
  }

  @Override
  public Run get(String id) {
    return run(json(200, request("v1/runs/" + id)));
  }

  @Override
  public Page<Run> list(int size, String pageToken, String filter) {
    return page(
        json(
            200,
            request(
                "v1/runs?page_size=%d&page_token=%s&filter=%s"
                    .formatted(size, encoded(pageToken), encoded(filter)))),
        "runs",
        RestRoad::run);
  }

  @Override
  public Run cancel(String id) {
    return run(json(200, request("v1/runs/" + id + ":cancel").POST(BodyPublishers.noBody())));
  }

  @Override
  public Run resume(String id) {
    return run(json(200, request("v1/runs/" + id + ":resume").POST(BodyPublishers.noBody())));
  }

  @Override
  public void delete(String id) {
    bytes(204, request("v1/runs/" + id).DELETE());
  }

  @Override
  public Watch watch(String id, long after) {
    HttpResponse<InputStream> response =
        send(
            request("v1/runs/" + id + "/events?after_sequence=" + after)
                .header("Accept", "text/event-stream"),
            BodyHandlers.ofInputStream());
    if (response.statusCode() == 204) {
      return new Events(InputStream.nullInputStream());
    }
    if (response.statusCode() != 200) {
      throw refused(response.statusCode(), read(response.body()));
    }
    assertThat(response.headers().firstValue("content-type")).contains("text/event-stream");
    return new Events(response.body());
  }

  /** Reads server-sent events as the HTML standard has them, as far as ours go. */
  private final class Events implements Watch {
    private final InputStream in;
    private final BufferedReader reader;
    private Event next;

    Events(InputStream in) {
      this.in = in;
      this.reader = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
    }

    @Override
    public boolean hasNext() {
      try {
        long id = 0;
        String type = "";
        String data = "";
        for (String line = reader.readLine(); line != null; line = reader.readLine()) {
          if (line.startsWith("id: ")) {
            id = Long.parseLong(line.substring(4));
          } else if (line.startsWith("event: ")) {
            type = line.substring(7);
          } else if (line.startsWith("data: ")) {
            data = line.substring(6);
          } else if (line.isEmpty() && !data.isEmpty()) {
            JsonNode event = mapper.readTree(data);
            if (type.equals("refused")) {
              throw new Refused(event.path("code").asText(), "", event.path("detail").asText());
            }
            assertThat(event.path("sequence").asLong()).isEqualTo(id);
            assertThat(event.path("event").path("event").asText()).isEqualTo(type);
            next = new Event(id, type);
            return true;
          }
        }
        return false;
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    @Override
    public Event next() {
      return next;
    }

    @Override
    public void close() {
      try {
        in.close();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  @Override
  public Page<Sample> samples(String id, OptionalInt iteration) {
    return page(
        json(
            200,
            request(
                "v1/runs/"
                    + id
                    + "/samples"
                    + (iteration.isPresent() ? "?iteration=" + iteration.getAsInt() : ""))),
        "samples",
        s ->
            new Sample(
                s.path("artifact").asText(),
                s.path("iteration").asInt(),
                s.path("index").asInt(),
                s.path("seed").asLong(),
                s.path("reward").asDouble()));
  }

  @Override
  public Page<Artifact> artifacts(String id, int size, String pageToken) {
    return page(
        json(
            200,
            request(
                "v1/runs/%s/artifacts?page_size=%d&page_token=%s"
                    .formatted(id, size, encoded(pageToken)))),
        "artifacts",
        a ->
            new Artifact(
                a.path("name").asText(),
                a.path("size_bytes").asLong(),
                a.path("content_type").asText()));
  }

  @Override
  public byte[] download(String name) {
    return bytes(200, request(path(name)));
  }

  @Override
  public AutoCloseable downloadAndDoze(String name) throws Exception {
    Socket socket = new Socket();
    socket.setReceiveBufferSize(8 << 10);
    socket.connect(new InetSocketAddress("127.0.0.1", root.getPort()));
    socket
        .getOutputStream()
        .write(
            "GET /%s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n"
                .formatted(path(name), token)
                .getBytes(StandardCharsets.US_ASCII));
    return socket;
  }

  @Override
  public void close() {
    client.close();
  }

  HttpRequest.Builder request(String path) {
    HttpRequest.Builder request = HttpRequest.newBuilder(root.resolve(path));
    return token.isEmpty() ? request : request.header("Authorization", "Bearer " + token);
  }

  /** The body as JSON, of an answer with this status. */
  JsonNode json(int status, HttpRequest.Builder request) {
    HttpResponse<byte[]> response = send(request, BodyHandlers.ofByteArray());
    check(status, response);
    assertThat(response.headers().firstValue("content-type")).contains("application/json");
    return tree(response.body());
  }

  <T> HttpResponse<T> send(HttpRequest.Builder request, HttpResponse.BodyHandler<T> handler) {
    try {
      return client.send(request.build(), handler);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private byte[] bytes(int status, HttpRequest.Builder request) {
    HttpResponse<byte[]> response = send(request, BodyHandlers.ofByteArray());
    check(status, response);
    return response.body();
  }

  private void check(int status, HttpResponse<byte[]> response) {
    if (response.statusCode() != status) {
      throw refused(response.statusCode(), response.body());
    }
  }

  private Refused refused(int status, byte[] body) {
    JsonNode problem = tree(body);
    assertThat(problem.path("status").asInt()).isEqualTo(status);
    return new Refused(
        problem.path("code").asText(),
        problem.path("field").asText(""),
        problem.path("detail").asText());
  }

  private JsonNode tree(byte[] body) {
    try {
      return mapper.readTree(body);
    } catch (JsonProcessingException e) {
      throw new AssertionError(new String(body, StandardCharsets.UTF_8), e);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static byte[] read(InputStream in) {
    try (in) {
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static <T> Page<T> page(JsonNode page, String items, Function<JsonNode, T> item) {
    List<T> read = new ArrayList<>();
    page.path(items).forEach(node -> read.add(item.apply(node)));
    return new Page<>(read, page.path("next_page_token").asText());
  }

  private static Run run(JsonNode run) {
    return new Run(
        run.path("name").asText(),
        run.path("state").asText(),
        run.path("owner").asText(),
        run.path("priority").asInt(),
        run.path("specification").asText());
  }

  private static String path(String name) {
    return "v1/"
        + Arrays.stream(name.split("/")).map(RestRoad::encoded).collect(Collectors.joining("/"));
  }

  private static String encoded(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
  }
}
