package dev.vard.spec;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class SpecReferenceTest {

  @Test
  void shouldDocumentEveryKeyAndNoOther() throws IOException {
    Path docs = Path.of(System.getenv("VARD_HOME"), "docs/specification.md");

    List<String> rows =
        Files.readAllLines(docs).stream().filter(line -> line.startsWith("| `")).toList();

    assertThat(rows)
        .containsExactlyElementsOf(Keys.ALL.stream().map(SpecReferenceTest::row).toList());
  }

  private static <T> String row(Key<T> key) {
    String only = key.only().map(belongs -> " Only with `" + belongs + "`.").orElse("");
    return "| `%s` | %s | %s | %s%s |"
        .formatted(key.path(), key.type().describe(), absent(key), key.meaning(), only);
  }

  private static <T> String absent(Key<T> key) {
    return switch (key.absent()) {
      case Key.Absent.Refused<T> refused -> "**required**";
      case Key.Absent.Allowed<T>(String stands) -> stands;
      case Key.Absent.Default<T>(T value) -> "`" + yaml(key.type().write(value)) + "`";
    };
  }

  private static String yaml(Object value) {
    return value instanceof List<?> list
        ? list.stream().map(Object::toString).collect(Collectors.joining(", ", "[", "]"))
        : value.toString();
  }
}
