package dev.vard.api;

import java.net.SocketAddress;
import java.security.cert.X509Certificate;
import java.util.Optional;

/**
 * What a caller shows of itself.
 *
 * @param authorization the header {@code authorization}
 * @param certificate of the client, which TLS has verified
 */
record Credentials(
    Optional<String> authorization, Optional<X509Certificate> certificate, SocketAddress peer) {

  /** Without the token: this may be logged. */
  @Override
  public String toString() {
    return "Credentials[peer=%s, authorization=%s]"
        .formatted(peer, authorization.isPresent() ? "given" : "none");
  }
}
