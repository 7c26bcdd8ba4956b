package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.micronaut.context.ApplicationContext;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DatabaseTest {
  private static final Path FILE = Path.of("runs/.vard");

  @Test
  void shouldBeAFileUnlessToldOtherwise() {
    assertThat(Database.configured(Map.of(), FILE)).isEqualTo(Database.file(FILE));
    assertThat(Database.configured(Map.of("VARD_DATABASE", " "), FILE))
        .isEqualTo(Database.file(FILE));
  }

  @Test
  void shouldBePostgresqlByOneSetting() {
    Database database =
        Database.configured(Map.of("VARD_DATABASE", "jdbc:postgresql://db/vard"), FILE);

    assertThat(database)
        .isEqualTo(
            new Database(
                "jdbc:postgresql://db/vard?connectTimeout=5&socketTimeout=30&tcpKeepAlive=true",
                "vard",
                ""));
  }

  @Test
  void shouldTakeUserPasswordAndTheUrlsOwnSettings() {
    Database database =
        Database.configured(
            Map.of(
                "VARD_DATABASE", "jdbc:postgresql://db/vard?socketTimeout=7&ssl=true",
                "VARD_DATABASE_USER", "me",
                "VARD_DATABASE_PASSWORD", "secret"),
            FILE);

    assertThat(database)
        .isEqualTo(
            new Database(
                "jdbc:postgresql://db/vard?socketTimeout=7&ssl=true&connectTimeout=5&tcpKeepAlive=true",
                "me",
                "secret"));
  }

  @Test
  void shouldNotShowAPassword() {
    assertThat(
            Database.postgresql("jdbc:postgresql://db/vard?password=secret", "me", "secret")
                .toString())
        .doesNotContain("secret");
  }

  @Test
  void shouldRefuseOtherDatabases() {
    assertThatThrownBy(
            () -> Database.configured(Map.of("VARD_DATABASE", "jdbc:mysql://u:secret@db/x"), FILE))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("must begin with jdbc:postgresql:")
        .hasMessageNotContaining("secret");
  }

  @Test
  void shouldRefuseAFileThatH2CannotHave() {
    assertThatThrownBy(() -> Database.file(Path.of("a;b")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("a;b");
  }

  @Test
  void shouldStartNoDatabaseWhereNoneIsConfigured() {
    try (ApplicationContext context =
        ApplicationContext.run(Map.of("micronaut.health.monitor.enabled", false))) {
      assertThat(context.containsBean(RunStore.class)).isFalse();
    }
  }

  @Test
  void shouldSayWhatIsWrongWithAFileThatIsNoDatabase(@TempDir Path folder) throws Exception {
    Files.writeString(folder.resolve("runs.mv.db"), "not a database".repeat(1000));

    assertThatThrownBy(
            () -> OpenStore.open(Database.file(folder.resolve("runs")).properties()).close())
        .isInstanceOfSatisfying(
            StoreException.class, e -> assertThat(e.kind()).isEqualTo(StoreException.Kind.UNUSABLE))
        .hasMessageContaining("the database cannot be used")
        .hasMessageContaining("put the back-up back")
        .hasMessageNotContaining("VARD_DATABASE");
  }
}
