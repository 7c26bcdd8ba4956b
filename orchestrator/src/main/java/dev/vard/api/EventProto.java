package dev.vard.api;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Descriptors.FieldDescriptor.JavaType;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import dev.vard.proto.v1.RunEvent;
import dev.vard.store.StoredEvent;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Events as the database has them, JSON, as messages: {@code run.proto} gives their fields the same
 * names. What a newer or older vard wrote and this one does not know is left out. Thread-safe.
 */
final class EventProto {
  private final JsonMapper mapper = new JsonMapper();
  private final JsonFormat.Parser parser = JsonFormat.parser().ignoringUnknownFields();

  RunEvent of(StoredEvent event) {
    RunEvent.Builder message =
        RunEvent.newBuilder().setSequence(event.sequence()).setTime(Protos.timestamp(event.time()));
    try {
      ObjectNode json = (ObjectNode) mapper.readTree(event.json());
      FieldDescriptor field = RunEvent.getDescriptor().findFieldByName(json.path("event").asText());
      if (field != null && field.getContainingOneof() != null) {
        Message.Builder part = message.newBuilderForField(field);
        nameMetrics(json.path("policy"));
        settleNulls(json, field.getMessageType());
        parser.merge(json.toString(), part);
        message.setField(field, part.build());
      }
    } catch (JsonProcessingException | InvalidProtocolBufferException e) {
      throw new IllegalStateException(
          "event %d of run %s cannot be read".formatted(event.sequence(), event.runId()), e);
    }
    return message.build();
  }

  /**
   * The policy's metrics by name, and those of the first methods in fields of their own too: events
   * that were kept before metrics had names have only these, and older clients read only these.
   */
  private static void nameMetrics(JsonNode policy) {
    if (!(policy instanceof ObjectNode told)) {
      return;
    }
    ObjectNode metrics = told.withObjectProperty("metrics");
    for (String name : List.of("objective", "clipped")) {
      if (told.has(name)) {
        metrics.putIfAbsent(name, told.get(name));
      } else if (metrics.has(name)) {
        told.set(name, metrics.get(name));
      }
    }
  }

  /**
   * JSON's null is a NaN where a number has to be, as {@link dev.vard.run.RunJson} writes it, and
   * an absent field elsewhere.
   */
  private static void settleNulls(ObjectNode json, Descriptor type) {
    List<String> absent = new ArrayList<>();
    for (Map.Entry<String, JsonNode> member : json.properties()) {
      FieldDescriptor field = type.findFieldByName(member.getKey());
      if (field == null) {
        continue;
      }
      switch (member.getValue()) {
        case NullNode nothing when isNumber(field) -> member.setValue(TextNode.valueOf("NaN"));
        case NullNode nothing -> absent.add(member.getKey());
        case ArrayNode array when isNumber(field) -> {
          for (int i = 0; i < array.size(); i++) {
            if (array.get(i).isNull()) {
              array.set(i, "NaN");
            }
          }
        }
        case ArrayNode array when field.getJavaType() == JavaType.MESSAGE ->
            array.forEach(item -> settleNulls((ObjectNode) item, field.getMessageType()));
        case ObjectNode map when field.isMapField() ->
            map.properties().stream()
                .filter(entry -> entry.getValue().isNull())
                .forEach(entry -> entry.setValue(TextNode.valueOf("NaN")));
        case ObjectNode object -> settleNulls(object, field.getMessageType());
        default -> {
          // A value is a value.
        }
      }
    }
    json.remove(absent);
  }

  /** Whether it is a number that cannot be absent. */
  private static boolean isNumber(FieldDescriptor field) {
    return field.getJavaType() == JavaType.DOUBLE && !field.hasPresence();
  }
}
