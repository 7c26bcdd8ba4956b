package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ExposureTest {

  @ParameterizedTest
  @ValueSource(strings = {"127.0.0.1", "127.8.8.8", "localhost", "::1"})
  void shouldLetLoopbackGoWithoutTokens(String host) {
    assertThatCode(() -> check(Map.of("host", host))).doesNotThrowAnyException();
  }

  @ParameterizedTest
  @ValueSource(strings = {"0.0.0.0", "::", "192.0.2.1"})
  void shouldRefuseToBeReachedFromBeyondWithoutTokens(String host) {
    assertThatThrownBy(() -> check(Map.of("host", host)))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining(host)
        .hasMessageContaining("give a tokens file or a client authority");
  }

  @Test
  void shouldRefuseTokensInPlainTextBeyondLoopback() {
    assertThatThrownBy(() -> check(Map.of("host", "0.0.0.0", "tokens", "t")))
        .hasMessageContaining("plain text")
        .hasMessageContaining("behind-tls-proxy");
  }

  @Test
  void shouldLetAProxyEndTls() {
    assertThatCode(() -> check(Map.of("host", "0.0.0.0", "tokens", "t", "behind-tls-proxy", true)))
        .doesNotThrowAnyException();
  }

  @Test
  void shouldNotTakeAProxyForTokens() {
    assertThatThrownBy(() -> check(Map.of("host", "0.0.0.0", "behind-tls-proxy", true)))
        .hasMessageContaining("nobody would be asked");
  }

  @Test
  void shouldLetTokensGoOverTls() {
    assertThatCode(
            () -> check(Map.of("host", "0.0.0.0", "tokens", "t", "certificate", "c", "key", "k")))
        .doesNotThrowAnyException();
  }

  @Test
  void shouldLetClientCertificatesDoWithoutTokens() {
    assertThatCode(
            () ->
                check(
                    Map.of(
                        "host",
                        "0.0.0.0",
                        "client-authority",
                        "a",
                        "certificate",
                        "c",
                        "key",
                        "k")))
        .doesNotThrowAnyException();
  }

  @Test
  void shouldRefuseACertificateWithoutItsKey() {
    assertThatThrownBy(() -> check(Map.of("certificate", "c")))
        .hasMessageContaining("TLS needs both");
  }

  @Test
  void shouldRefuseClientCertificatesWithoutTls() {
    assertThatThrownBy(() -> check(Map.of("client-authority", "a")))
        .hasMessageContaining("need TLS");
  }

  @Test
  void shouldRefuseAHostThatIsNone() {
    assertThatThrownBy(() -> check(Map.of("host", "no such host")))
        .hasMessageContaining("no address of this machine");
  }

  private static void check(Map<String, Object> settings) {
    Exposure.check(LiveApi.settings(settings));
  }
}
