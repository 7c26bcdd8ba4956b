package dev.vard.cli.client;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Descriptors.FieldDescriptor.JavaType;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import java.math.BigInteger;
import java.util.List;

/**
 * Messages as one line of JSON: names as in the .proto file, every field that always has a value.
 * 64-bit integers are numbers, as in REST and in metrics.jsonl, and not protobuf's texts: of those,
 * jq would say that "9" is more than "10".
 */
final class ProtoJson {
  private static final JsonFormat.Printer PRINTER =
      JsonFormat.printer().preservingProtoFieldNames().alwaysPrintFieldsWithNoPresence();
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private ProtoJson() {}

  static String line(Message message) {
    try {
      JsonNode json = MAPPER.readTree(PRINTER.print(message));
      number(json, message.getDescriptorForType());
      return MAPPER.writeValueAsString(json);
    } catch (InvalidProtocolBufferException | JsonProcessingException e) {
      throw new IllegalStateException("only an Any can fail, and there is none", e);
    }
  }

  private static void number(JsonNode json, Descriptor type) {
    for (FieldDescriptor field : type.getFields()) {
      JsonNode value = json.path(field.getName());
      if (field.getJavaType() == JavaType.LONG && value.isTextual()) {
        ((ObjectNode) json).put(field.getName(), new BigInteger(value.textValue()));
      } else if (field.getJavaType() == JavaType.MESSAGE) {
        // A time has become a text, which has no fields.
        Iterable<JsonNode> messages = field.isRepeated() ? value : List.of(value);
        messages.forEach(message -> number(message, field.getMessageType()));
      }
    }
  }
}
