package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class SchemaTest {

  @Test
  void shouldKnowTheLastMigration() throws Exception {
    Path migrations = Path.of(Schema.class.getResource("/db/migration").toURI());
    try (Stream<Path> files = Files.list(migrations)) {
      List<Integer> versions =
          files
              .map(file -> file.getFileName().toString().replaceAll("^V(\\d+)__.*\\.sql$", "$1"))
              .map(Integer::valueOf)
              .sorted()
              .toList();

      assertThat(versions.getLast()).isEqualTo(Schema.VERSION);
    }
  }
}
