package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.grpc.ChannelCredentials;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.net.ssl.SSLContext;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** TLS and client certificates, on both servers, with certificates of the test's own making. */
class TlsTest {
  private static final String TOKEN = "bobs-token-0123456789";

  @TempDir private static Path folder;
  private static TestCertificates certificates;
  private static Path tokens;

  @BeforeAll
  static void make() throws Exception {
    certificates = new TestCertificates(folder);
    certificates.make("server");
    certificates.make("alice");
    certificates.make("no/owner");
    tokens = Files.writeString(folder.resolve("tokens"), "bob " + TOKEN + "\n");
    Files.setPosixFilePermissions(tokens, PosixFilePermissions.fromString("rw-------"));
  }

  @Test
  void shouldTakeTokensOverTls() throws Exception {
    try (LiveApi api = start(Map.of("tokens", tokens.toString()));
        Road grpc = GrpcRoad.to(api.grpcPort(), trusting()).as(TOKEN);
        Road rest = rest(api, certificates.trusting()).as(TOKEN)) {
      assertThat(create(grpc).owner()).isEqualTo("bob");
      assertThat(create(rest).owner()).isEqualTo("bob");
    }
  }

  @Test
  void shouldNotSpeakInPlainText() throws Exception {
    try (LiveApi api = start(Map.of("tokens", tokens.toString()));
        GrpcRoad grpc = GrpcRoad.to(api.grpcPort())) {
      assertThat(api.http("/").getScheme()).isEqualTo("https");
      assertThatThrownBy(() -> grpc.get("any"))
          .isInstanceOfSatisfying(
              Road.Refused.class, e -> assertThat(e.code).isEqualTo("UNAVAILABLE"));
    }
  }

  @Test
  void shouldKnowACallerByItsCertificate() throws Exception {
    try (LiveApi api = start(authority());
        Road grpc = GrpcRoad.to(api.grpcPort(), showing("alice"));
        Road rest = rest(api, certificates.showing("alice"))) {
      assertThat(create(grpc).owner()).isEqualTo("alice");
      assertThat(create(rest).owner()).isEqualTo("alice");
    }
  }

  @Test
  void shouldNotConnectWithoutACertificate() throws Exception {
    try (LiveApi api = start(authority());
        Road grpc = GrpcRoad.to(api.grpcPort(), trusting());
        Road rest = rest(api, certificates.trusting())) {
      assertThatThrownBy(() -> grpc.get("any"))
          .isInstanceOfSatisfying(
              Road.Refused.class, e -> assertThat(e.code).isEqualTo("UNAVAILABLE"));
      assertThatThrownBy(() -> rest.get("any")).isNotInstanceOf(Road.Refused.class);
    }
  }

  @Test
  void shouldRefuseACertificateThatNamesNoOwner() throws Exception {
    try (LiveApi api = start(authority());
        Road grpc = GrpcRoad.to(api.grpcPort(), showing("no/owner"));
        Road rest = rest(api, certificates.showing("no/owner"))) {
      for (Road road : List.of(grpc, rest)) {
        assertThatThrownBy(() -> road.get("any"))
            .isInstanceOfSatisfying(
                Road.Refused.class, e -> assertThat(e.code).isEqualTo("UNAUTHENTICATED"));
      }
    }
  }

  @Test
  void shouldTakeATokenBeforeACertificate() throws Exception {
    Map<String, Object> both = new HashMap<>(authority());
    both.put("tokens", tokens.toString());
    try (LiveApi api = start(both);
        Road grpc = GrpcRoad.to(api.grpcPort(), showing("alice")).as(TOKEN);
        Road rest = rest(api, certificates.showing("alice")).as("wrong-token-0123456789")) {
      assertThat(create(grpc).owner()).isEqualTo("bob");
      assertThatThrownBy(() -> create(rest))
          .isInstanceOfSatisfying(
              Road.Refused.class, e -> assertThat(e.code).isEqualTo("UNAUTHENTICATED"));
    }
  }

  @Test
  void shouldSayWhatIsWrongWithACertificateFile() throws Exception {
    Path broken = Files.writeString(folder.resolve("broken.pem"), "no PEM");

    assertThatThrownBy(
            () ->
                new GrpcApi(
                        LiveApi.settings(
                            Map.of("certificate", broken.toString(), "key", broken.toString())),
                        new InMemoryRuns(),
                        new Authenticator(LiveApi.settings(Map.of())),
                        new Streams(LiveApi.settings(Map.of())),
                        RequestBounds.of(LiveApi.settings(Map.of())))
                    .start())
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("broken.pem");
  }

  private static Road.Run create(Road road) {
    return road.create("name: fox", List.of(), 0, "");
  }

  private static Map<String, Object> authority() {
    return Map.of("client-authority", certificates.authority().toString());
  }

  private static LiveApi start(Map<String, Object> settings) {
    Map<String, Object> all = new HashMap<>(settings);
    all.put("certificate", file("server.crt").toString());
    all.put("key", file("server.key").toString());
    return LiveApi.start(new InMemoryRuns(), all);
  }

  private static Road rest(LiveApi api, SSLContext tls) {
    return new RestRoad(
        HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).sslContext(tls).build(),
        api.http("/"),
        "");
  }

  private static ChannelCredentials trusting() throws Exception {
    return TlsChannelCredentials.newBuilder().trustManager(authorityFile()).build();
  }

  private static ChannelCredentials showing(String name) throws Exception {
    return TlsChannelCredentials.newBuilder()
        .trustManager(authorityFile())
        .keyManager(
            file(TestCertificates.file(name, ".crt")), file(TestCertificates.file(name, ".key")))
        .build();
  }

  private static File authorityFile() {
    return certificates.authority().toFile();
  }

  private static File file(String name) {
    return folder.resolve(name).toFile();
  }
}
