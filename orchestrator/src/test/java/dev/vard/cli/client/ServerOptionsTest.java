package dev.vard.cli.client;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.rpc.Code;
import dev.vard.api.TestCertificates;
import dev.vard.cli.Console;
import dev.vard.cli.ExitCode;
import dev.vard.cli.Main;
import dev.vard.proto.v1.ListRunsRequest;
import dev.vard.run.FakeWorker;
import io.grpc.TlsServerCredentials;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The way to a server, by the plainest of the commands. */
@Timeout(60)
class ServerOptionsTest {
  @TempDir private static Path folder;
  private FakeRunService service;
  private Vard vard;

  @BeforeEach
  void start() throws Exception {
    service = new FakeRunService();
    vard = new Vard(service.address());
  }

  @AfterEach
  void end() {
    System.clearProperty("vard.token");
    System.clearProperty("vard.server");
    service.close();
  }

  @Test
  void shouldTellHowToStartAServerWhereNoneAnswers() {
    service.close();

    assertThat(vard.run("list")).isEqualTo(ExitCode.FAILED);

    assertThat(vard.err())
        .isEqualToIgnoringNewLines(
            "vard: no server answers at "
                + service.address()
                + " (Connection refused): start one with `./vard serve`, or name another with"
                + " --server HOST:PORT; one that speaks TLS needs --ca or --tls");
  }

  @Test
  void shouldPrintTheTraceIfAsked() {
    service.close();

    assertThat(vard.run("list", "--verbose")).isEqualTo(ExitCode.FAILED);

    assertThat(vard.err()).contains("io.grpc.StatusException", "\tat ");
  }

  @Test
  void shouldTellThatAWorkerIsNoServer() throws Exception {
    try (FakeWorker worker = new FakeWorker()) {
      vard = new Vard(worker.address());

      assertThat(vard.run("list")).isEqualTo(ExitCode.FAILED);

      assertThat(vard.err())
          .startsWith("vard: what listens at " + worker.address() + " is no vard server");
    }
  }

  @Test
  void shouldTakeTheServersWordWhereItIsBusy() {
    service.refuse(
        ListRunsRequest.class,
        FakeRunService.refusal(Code.UNAVAILABLE, "", "the database does not answer; try again"));

    assertThat(vard.run("list")).isEqualTo(ExitCode.FAILED);

    assertThat(vard.err().lines()).containsExactly("vard: the database does not answer; try again");
  }

  @Test
  void shouldTellWhereATokenGoes() {
    service.refuse(
        ListRunsRequest.class,
        FakeRunService.refusal(Code.UNAUTHENTICATED, "", "the token is not known"));

    assertThat(vard.run("list")).isEqualTo(ExitCode.FAILED);

    assertThat(vard.err()).contains("the token is not known (--token-file FILE or VARD_TOKEN");
  }

  @Test
  void shouldRefuseWhatIsNoAddress() {
    assertThat(new Vard("localhost").run("list")).isEqualTo(ExitCode.BAD_USAGE);
  }

  @Test
  void shouldTakeAddressAndTokenFromTheEnvironment() {
    // Micronaut reads VARD_SERVER and this the same way; a process cannot change its environment.
    System.setProperty("vard.server", service.address());
    System.setProperty("vard.token", "secret-of-the-environment");
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    PrintStream out = new PrintStream(bytes, true);

    assertThat(Main.execute(new Console(out, out), "list")).isEqualTo(ExitCode.OK);

    assertThat(service.authorizations()).containsExactly("Bearer secret-of-the-environment");
  }

  @Test
  void shouldSendTheTokenOfAFile() throws Exception {
    Path token = Files.writeString(folder.resolve("token"), "secret-of-a-file\n");

    assertThat(vard.run("list", "--token-file", token.toString())).isEqualTo(ExitCode.OK);

    assertThat(service.authorizations()).containsExactly("Bearer secret-of-a-file");
  }

  @Test
  void shouldSendNoTokenWhereNoneIsGiven() {
    assertThat(vard.run("list")).isEqualTo(ExitCode.OK);

    assertThat(service.authorizations()).containsExactly("");
  }

  @Test
  void shouldNotSendATokenWhereOthersCanReadIt() throws Exception {
    Path token = Files.writeString(folder.resolve("token"), "secret-of-a-file\n");

    vard = new Vard("192.0.2.1:50051");
    assertThat(vard.run("list", "--token-file", token.toString())).isEqualTo(ExitCode.FAILED);

    assertThat(vard.err())
        .contains("where others can read it: give --ca or --tls")
        .doesNotContain("secret");
  }

  @Test
  void shouldNotPrintWhatIsNoToken() throws Exception {
    Path token = Files.writeString(folder.resolve("tokens"), "ada secret-one\nbo secret-two\n");

    assertThat(vard.run("list", "--token-file", token.toString())).isEqualTo(ExitCode.FAILED);

    assertThat(vard.err()).contains("holds no token").doesNotContain("secret");
  }

  @Test
  void shouldWantCertificateAndKeyTogether() {
    assertThat(vard.run("list", "--cert", "client.pem")).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(vard.err()).contains("--cert and --key belong together");
  }

  /** A server that shows a certificate, and asks for one. */
  @Nested
  class WithTls {
    private static TestCertificates certificates;
    private FakeRunService service;
    private Vard vard;

    @BeforeAll
    static void makeCertificates() throws Exception {
      certificates = new TestCertificates(folder);
      certificates.make("server");
      certificates.make("ada");
    }

    @BeforeEach
    void start() throws Exception {
      service =
          new FakeRunService(
              TlsServerCredentials.newBuilder()
                  .keyManager(file("server", ".crt").toFile(), file("server", ".key").toFile())
                  .trustManager(certificates.authority().toFile())
                  .clientAuth(TlsServerCredentials.ClientAuth.REQUIRE)
                  .build());
      vard = new Vard(service.address());
    }

    @AfterEach
    void end() {
      service.close();
    }

    private static Path file(String name, String suffix) {
      return certificates.certificate(name, suffix);
    }

    private int list(String... more) {
      String[] arguments = new String[more.length + 1];
      arguments[0] = "list";
      System.arraycopy(more, 0, arguments, 1, more.length);
      return vard.run(arguments);
    }

    @Test
    void shouldShowItsOwnCertificate() {
      assertThat(
              list(
                  "--ca",
                  certificates.authority().toString(),
                  "--cert",
                  file("ada", ".crt").toString(),
                  "--key",
                  file("ada", ".key").toString()))
          .isEqualTo(ExitCode.OK);
    }

    @Test
    void shouldNotTrustAnybody() {
      assertThat(list("--tls")).isEqualTo(ExitCode.FAILED);

      assertThat(vard.err()).startsWith("vard: TLS with " + service.address() + " failed (");
    }

    @Test
    void shouldTellThatTheServerMaySpeakTls() {
      assertThat(list()).isEqualTo(ExitCode.FAILED);

      assertThat(vard.err()).contains("one that speaks TLS needs --ca or --tls");
    }
  }
}
