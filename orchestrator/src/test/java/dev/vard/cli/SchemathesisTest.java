package dev.vard.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.run.FakeWorker;
import dev.vard.worker.WorkerEnvironment;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Schemathesis makes requests of the OpenAPI document that a real server serves, right ones and
 * wrong ones, and holds the answers to it: no 5xx, nothing that the document does not say. As many
 * for each operation as the system property {@code vard.schemathesis.examples} says.
 */
@Timeout(900)
class SchemathesisTest {
  private static final int EXAMPLES = Integer.getInteger("vard.schemathesis.examples", 10);

  @TempDir private Path folder;

  @Test
  void shouldAnswerAsItsDocumentSays() throws Exception {
    try (FakeWorker worker = new FakeWorker();
        ServerProcess server = new ServerProcess(folder, worker.address(), Map.of())) {
      Process schemathesis =
          WorkerEnvironment.find()
              .process(
                  List.of(
                          "-c",
                          "from schemathesis.cli import schemathesis; schemathesis()",
                          "run",
                          server.http("/openapi.yaml").toString(),
                          "--checks",
                          "not_a_server_error,status_code_conformance,content_type_conformance,"
                              + "response_headers_conformance,response_schema_conformance",
                          "--phases",
                          "examples,coverage,fuzzing",
                          "--max-examples",
                          Integer.toString(EXAMPLES),
                          "--seed",
                          "7",
                          "--generation-database",
                          "none",
                          "--no-color")
                      .toArray(String[]::new))
              .directory(folder.toFile())
              .redirectErrorStream(true)
              .start();
      String said = new String(schemathesis.getInputStream().readAllBytes(), UTF_8);

      assertThat(schemathesis.waitFor()).as(said).isZero();
      assertThat(server.isAlive()).isTrue();
    }
  }
}
