package dev.vard.api;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.vard.serve.RequestException;
import dev.vard.serve.RequestException.Code;
import dev.vard.serve.Runs.Creation;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads the JSON of a {@link Rest.CreateRun} strictly: what it does not know, and text where a
 * number belongs, is an error, for a misread request costs hours of a GPU.
 */
final class Creations {
  private static final JsonMapper MAPPER =
      JsonMapper.builder(
              JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build())
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private Creations() {}

  /**
   * @throws RequestException INVALID_ARGUMENT
   */
  static Creation read(byte[] json) {
    JsonNode body;
    try {
      body = MAPPER.readTree(json);
    } catch (JsonProcessingException e) {
      throw invalid("", "the body is no JSON: " + e.getOriginalMessage() + ": send an object", e);
    } catch (IOException e) {
      throw invalid("", "the body is no UTF-8 text: send an object in JSON", e);
    }
    if (!body.isObject()) {
      throw invalid("", "the body is no object: send one, with a `specification`", null);
    }
    String specification = null;
    List<String> overrides = List.of();
    int priority = 0;
    String requestId = "";
    for (Map.Entry<String, JsonNode> member : body.properties()) {
      String name = member.getKey();
      JsonNode value = member.getValue();
      switch (name) {
        case "specification" -> specification = text(name, value);
        case "overrides" -> overrides = texts(name, value);
        case "priority" -> priority = number(name, value);
        case "request_id" -> {
          requestId = text(name, value);
          if (requestId.isEmpty()) {
            throw invalid(name, name + ": it is empty: give a UUID, or leave it out", null);
          }
        }
        default ->
            throw invalid(
                name,
                name
                    + ": there is no such member: give specification, overrides, priority and"
                    + " request_id",
                null);
      }
    }
    if (specification == null) {
      throw invalid("specification", "specification: it is missing: give one in YAML", null);
    }
    return new Creation(specification, overrides, priority, requestId);
  }

  private static String text(String name, JsonNode value) {
    if (!value.isTextual()) {
      throw invalid(name, name + ": give a text", null);
    }
    return value.textValue();
  }

  private static List<String> texts(String name, JsonNode value) {
    if (!value.isArray()) {
      throw invalid(name, name + ": give a list of texts", null);
    }
    List<String> texts = new ArrayList<>();
    value.forEach(item -> texts.add(text(name, item)));
    return List.copyOf(texts);
  }

  private static int number(String name, JsonNode value) {
    // JSON has one kind of number: 1.0 is whole.
    if (!value.isNumber() || value.doubleValue() != value.intValue()) {
      throw invalid(name, name + ": give a whole number", null);
    }
    return value.intValue();
  }

  private static RequestException invalid(String field, String message, @Nullable Throwable cause) {
    return new RequestException(Code.INVALID_ARGUMENT, field, message, cause);
  }
}
