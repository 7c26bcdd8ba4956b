package dev.vard.worker;

import static dev.vard.worker.TestSession.PATIENCE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.proto.v1.DescribeRequest;
import dev.vard.proto.v1.DescribeResponse;
import io.micronaut.context.ApplicationContext;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Against a real worker that asks for a client certificate and a token. */
class WorkerSecurityTest {
  @TempDir static Path folder;
  private static Process worker;
  private static int port;

  @BeforeAll
  static void start() throws Exception {
    WorkerEnvironment environment = WorkerEnvironment.find();
    Path maker = environment.home().resolve("python-worker/tests/certificates.py");
    Process made = environment.process(maker.toString(), folder.toString()).inheritIO().start();
    assertThat(made.waitFor()).isZero();
    Files.writeString(folder.resolve("token"), "the token of this test\n");
    Files.writeString(folder.resolve("other-token"), "the token of another test\n");
    Path ready = folder.resolve("ready.json");
    worker =
        environment
            .process(
                "-m",
                "vard_worker",
                "serve",
                "--port",
                "0",
                "--threads",
                "1",
                "--tls-cert",
                file("worker.pem"),
                "--tls-key",
                file("worker.key"),
                "--client-ca",
                file("authority.pem"),
                "--token-file",
                file("token"),
                "--ready-file",
                ready.toString(),
                "--exit-with-stdin")
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("worker.log").toFile())
            .start();
    port =
        PythonProcess.await(
            "worker",
            worker,
            ready,
            new PythonProcess.Log(folder.resolve("worker.log"), 0),
            PATIENCE,
            PythonProcess.Slow.NOBODY);
  }

  @AfterAll
  static void end() throws IOException {
    worker.getOutputStream().close();
  }

  @Test
  void shouldBeLetInWithCertificateAndToken() {
    assertThat(describe(security("authority", "orchestrator", "token")).getThreads()).isEqualTo(1);
  }

  @Test
  void shouldNotBeLetInWithoutACertificate() {
    assertUnavailable(new WorkerSecurity(file("authority.pem"), "", "", file("token")));
  }

  @Test
  void shouldNotBeLetInWithACertificateOfAnotherAuthority() {
    assertUnavailable(security("authority", "stranger", "token"));
  }

  @Test
  void shouldNotTalkToAWorkerOfAnotherAuthority() {
    assertUnavailable(security("stranger", "orchestrator", "token"));
  }

  @Test
  void shouldNotBeLetInWithAnotherToken() {
    assertThatThrownBy(() -> describe(security("authority", "orchestrator", "other-token")))
        .isInstanceOf(WorkerException.class)
        .hasMessageContaining("VARD_WORKER_TOKEN_FILE")
        .hasMessageNotContaining("another test");
  }

  @Test
  void shouldNotBeLetInInTheClear() {
    assertUnavailable(new WorkerSecurity("", "", "", file("token")));
  }

  @Test
  void shouldNameAFileThatCannotBeRead() {
    var security = new WorkerSecurity("", "", "", file("nowhere"));

    assertThatThrownBy(() -> describe(security))
        .isInstanceOf(WorkerException.class)
        .hasMessageContaining("VARD_WORKER_TOKEN_FILE")
        .hasMessageContaining(file("nowhere"));
  }

  @Test
  void shouldRefuseHalfAnIdentity() {
    assertThatThrownBy(() -> new WorkerSecurity("ca", "certificate", "", ""))
        .hasMessageContaining("VARD_WORKER_KEY");
    assertThatThrownBy(() -> new WorkerSecurity("", "certificate", "key", ""))
        .hasMessageContaining("VARD_WORKER_CA");
  }

  @Test
  void shouldBeOpenByDefault() {
    try (var context = ApplicationContext.run()) {
      assertThat(context.getBean(WorkerSecurity.class)).isEqualTo(WorkerSecurity.NONE);
    }
  }

  @Test
  void shouldBeSetByTheEnvironment() {
    Map<String, Object> variables =
        Map.of(
            "vard.worker.ca", "a",
            "vard.worker.certificate", "b",
            "vard.worker.key", "c",
            "vard.worker.token-file", "d");
    try (var context = ApplicationContext.run(variables)) {
      assertThat(context.getBean(WorkerSecurity.class))
          .isEqualTo(new WorkerSecurity("a", "b", "c", "d"));
    }
  }

  private static WorkerSecurity security(String authority, String own, String token) {
    return new WorkerSecurity(
        file(authority + ".pem"), file(own + ".pem"), file(own + ".key"), file(token));
  }

  private static void assertUnavailable(WorkerSecurity security) {
    assertThatThrownBy(() -> describe(security))
        .isInstanceOfSatisfying(
            WorkerException.class,
            e -> assertThat(e.kind()).isEqualTo(WorkerException.Kind.UNAVAILABLE))
        .hasMessageContaining("VARD_WORKER_CA");
  }

  private static DescribeResponse describe(WorkerSecurity security) {
    var location = new WorkerLocation.Remote("127.0.0.1", port);
    try (var client = new GrpcWorkerClient(location, security)) {
      return client.describe(DescribeRequest.getDefaultInstance(), PATIENCE);
    }
  }

  private static String file(String name) {
    return folder.resolve(name).toString();
  }
}
