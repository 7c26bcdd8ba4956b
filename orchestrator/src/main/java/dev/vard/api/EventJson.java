package dev.vard.api;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.vard.serve.RequestException;
import dev.vard.store.StoredEvent;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Collectors;

/** Events as {@link Rest.Event}s, each with its line of metrics.jsonl as it is. */
final class EventJson {
  /** After how many milliseconds a browser that lost the stream comes back. */
  static final byte[] OPENING = "retry: 2000\n\n".getBytes(StandardCharsets.UTF_8);

  /** A line that readers skip. */
  static final byte[] KEEP_ALIVE = ": still here\n\n".getBytes(StandardCharsets.UTF_8);

  private static final JsonMapper MAPPER = new JsonMapper();

  private EventJson() {}

  static String page(List<StoredEvent> events) {
    return events.stream()
        .map(EventJson::item)
        .collect(Collectors.joining(",", "{\"events\":[", "]}"));
  }

  /** A server-sent event. JSON has no line breaks outside its structure, and these lines none. */
  static byte[] serverSent(StoredEvent event) {
    return "id: %d\nevent: %s\ndata: %s\n\n"
        .formatted(event.sequence(), type(event), item(event))
        .getBytes(StandardCharsets.UTF_8);
  }

  /** The last event of a stream that its reader may not read on; it has no sequence number. */
  static byte[] refused(RequestException why) {
    String problem =
        MAPPER
            .createObjectNode()
            .put("code", why.code().name())
            .put("detail", why.getMessage())
            .toString();
    return ("event: refused\ndata: " + problem + "\n\n").getBytes(StandardCharsets.UTF_8);
  }

  private static String item(StoredEvent event) {
    return "{\"sequence\":%d,\"time\":\"%s\",\"event\":%s}"
        .formatted(event.sequence(), event.time(), event.json());
  }

  private static String type(StoredEvent event) {
    try {
      return MAPPER.readTree(event.json()).path("event").asText();
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(
          "event %d of run %s cannot be read".formatted(event.sequence(), event.runId()), e);
    }
  }
}
