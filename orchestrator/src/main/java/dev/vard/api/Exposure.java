package dev.vard.api;

import dev.vard.serve.ServeSettings;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Arrays;

/** Whether a server may listen where it is told to. */
final class Exposure {
  private Exposure() {}

  /**
   * Beyond loopback everybody who can reach the port can ask: so only with tokens or client
   * certificates, and no token travels in plain text.
   *
   * @throws SettingsException if it may not
   */
  static void check(ServeSettings settings) {
    if (settings.certificate().isEmpty() != settings.key().isEmpty()) {
      throw new SettingsException(
          "TLS needs both a certificate (certificate: '%s') and its private key (key: '%s'): give both or neither"
              .formatted(settings.certificate(), settings.key()));
    }
    if (!settings.clientAuthority().isEmpty() && settings.certificate().isEmpty()) {
      throw new SettingsException(
          "client certificates (client-authority: '%s') need TLS: give the server's certificate and key too"
              .formatted(settings.clientAuthority()));
    }
    if (isLoopback(settings.host())) {
      return;
    }
    if (settings.tokens().isEmpty() && settings.clientAuthority().isEmpty()) {
      throw new SettingsException(
          "host '%s' is reached from beyond this machine, and nobody would be asked who they are: give a tokens file or a client authority, or listen at 127.0.0.1"
              .formatted(settings.host()));
    }
    if (settings.certificate().isEmpty() && !settings.behindTlsProxy()) {
      throw new SettingsException(
          "host '%s' is reached from beyond this machine, and tokens would travel in plain text: give a certificate and a key, or set behind-tls-proxy where a proxy in front ends TLS, or listen at 127.0.0.1"
              .formatted(settings.host()));
    }
  }

  /** Every address that the name stands for must be: one that is not would let others in. */
  static boolean isLoopback(String host) {
    try {
      return Arrays.stream(InetAddress.getAllByName(host)).allMatch(InetAddress::isLoopbackAddress);
    } catch (UnknownHostException e) {
      throw new SettingsException(
          "host '%s' is no address of this machine: give a name or an IP address to listen at"
              .formatted(host),
          e);
    }
  }
}
