package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.FitValueRequest;
import dev.vard.run.FakeWorker;
import dev.vard.store.Database;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.Statement;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A run that a newer program went on with is refused by this one, and nothing of it is lost. */
class NewerStateTest {
  private static final String SPEC =
      """
      name: test
      model: {checkpoint: owner/name}
      prompts: {list: [a cat]}
      reward: {kind: jpeg-compressibility}
      algorithm: {kind: vard, iterations: 2, samples: 2, value: {warmup: 1}}
      evaluate: {images: 2}
      """;

  private static final String REFUSED =
      " was written by a newer vard: its state format is 4; this program reads up to 3; go on with"
          + " the vard that wrote it, or a newer one";

  @TempDir private Path temp;
  private FakeWorker worker;
  private Path folder;
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  @BeforeEach
  void failARun() throws Exception {
    worker = new FakeWorker();
    folder = temp.resolve("run");
    Path specification = Files.writeString(temp.resolve("test.yaml"), SPEC);
    worker.refuse(FitValueRequest.class, ErrorCode.NOT_FINITE, "the loss is NaN");
    String[] run = {"run", specification.toString(), "--worker", worker.address()};
    assertThat(vard(run[0], run[1], run[2], run[3], "--out", folder.toString()))
        .isEqualTo(ExitCode.FAILED);
    worker.relent(FitValueRequest.class);
    err.reset();
  }

  @AfterEach
  void end() {
    worker.close();
  }

  private int vard(String... arguments) {
    Console console =
        new Console(
            new PrintStream(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8));
    return Main.execute(console, arguments);
  }

  /** Replaces text in the run's database; it is there once. */
  private void replace(String table, String column, String what, String by) throws Exception {
    Map<String, Object> database = Database.file(folder.resolve("run")).properties();
    try (Connection connection =
            DriverManager.getConnection(
                database.get("datasources.default.url").toString(), "sa", "");
        Statement statement = connection.createStatement()) {
      int rows =
          statement.executeUpdate(
              "update %1$s set %2$s = replace(%2$s, '%3$s', '%4$s') where %2$s like '%%%3$s%%'"
                  .formatted(table, column, what, by));
      assertThat(rows).isEqualTo(1);
    }
  }

  private void shouldRefuseUntilItIsBack(
      String table, String column, String now, String newer, String what) throws Exception {
    replace(table, column, now, newer);

    assertThat(vard("run", "--resume", folder.toString())).isEqualTo(ExitCode.FAILED);

    assertThat(err.toString(StandardCharsets.UTF_8).lines()).contains("vard: " + what + REFUSED);
    replace(table, column, newer, now);
    assertThat(vard("run", "--resume", folder.toString()))
        .as(err.toString(StandardCharsets.UTF_8))
        .isEqualTo(ExitCode.OK);
  }

  @Test
  void shouldRefuseANewerState() throws Exception {
    shouldRefuseUntilItIsBack(
        "run_state", "json", "{\"format\":3,", "{\"format\":4,", "the run's state");
  }

  @Test
  void shouldRefuseANewerSpecification() throws Exception {
    shouldRefuseUntilItIsBack(
        "specification",
        "yaml",
        "# vard state format 3",
        "# vard state format 4",
        "the run's specification");
  }

  /** As every program before there were versions kept it. */
  @Test
  void shouldGoOnWithWhatSaysNoVersion() throws Exception {
    replace("run_state", "json", "{\"format\":3,", "{");
    replace("specification", "yaml", "# vard state format 3", "");

    assertThat(vard("run", "--resume", folder.toString()))
        .as(err.toString(StandardCharsets.UTF_8))
        .isEqualTo(ExitCode.OK);
  }
}
