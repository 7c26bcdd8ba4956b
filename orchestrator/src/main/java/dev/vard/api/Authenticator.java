package dev.vard.api;

import dev.vard.serve.Caller;
import dev.vard.serve.RequestException;
import dev.vard.serve.RequestException.Code;
import dev.vard.serve.ServeSettings;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.file.Path;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.naming.InvalidNameException;
import javax.naming.ldap.LdapName;

/**
 * Tells who calls, for both APIs: by token, by client certificate, or, where neither is set up, as
 * somebody on this machine. Thread-safe.
 */
public final class Authenticator {
  private static final Pattern BEARER = Pattern.compile("Bearer +(\\S+)", Pattern.CASE_INSENSITIVE);
  private static final String LOCAL = "local";

  private final Optional<TokenFile> tokens;
  private final boolean certificates;

  /**
   * @throws SettingsException if a file that they name cannot be used
   */
  public Authenticator(ServeSettings settings) {
    this.tokens =
        Optional.of(settings.tokens())
            .filter(file -> !file.isEmpty())
            .map(Path::of)
            .map(TokenFile::new);
    this.certificates = !settings.clientAuthority().isEmpty();
  }

  /** Whether nobody has to show anything. */
  boolean open() {
    return tokens.isEmpty() && !certificates;
  }

  /** Why nobody is let in at all; empty where somebody is. */
  public Optional<String> trouble() {
    return tokens.filter(file -> !certificates).flatMap(TokenFile::trouble);
  }

  /** Looks whether the tokens file holds something else now. */
  void look() {
    tokens.ifPresent(TokenFile::look);
  }

  /** {@link #admit} for a single request. */
  Caller authenticate(Credentials credentials) {
    return admit(credentials).caller();
  }

  /**
   * A token that is shown decides alone: who shows a wrong one is not let in by its certificate.
   *
   * @throws RequestException UNAUTHENTICATED
   */
  Admission admit(Credentials credentials) {
    String peer = describe(credentials.peer());
    if (open()) {
      if (!isLoopback(credentials.peer())) {
        throw unauthenticated("this server lets in callers of its own machine alone");
      }
      return new Admission(new Caller(LOCAL, true, peer), () -> true);
    }
    if (tokens.isPresent() && credentials.authorization().isPresent()) {
      return byToken(tokens.get(), credentials.authorization().get(), peer);
    }
    if (certificates && credentials.certificate().isPresent()) {
      X509Certificate certificate = credentials.certificate().get();
      return new Admission(
          new Caller(commonName(certificate), false, peer), () -> isValid(certificate));
    }
    throw unauthenticated(
        tokens.isPresent()
            ? "this request says not who asks: send `authorization: Bearer TOKEN`"
            : "this request says not who asks: show a client certificate");
  }

  /** TLS has checked the rest, when the connection was made. */
  private static boolean isValid(X509Certificate certificate) {
    try {
      certificate.checkValidity();
      return true;
    } catch (CertificateException e) {
      return false;
    }
  }

  private static Admission byToken(TokenFile tokens, String authorization, String peer) {
    Matcher bearer = BEARER.matcher(authorization);
    if (!bearer.matches()) {
      throw unauthenticated(
          "the authorization is none of ours: send `authorization: Bearer TOKEN`");
    }
    byte[] digest = Tokens.digest(bearer.group(1));
    Tokens.Owner owner =
        tokens
            .find(digest)
            .orElseThrow(() -> unauthenticated("this token is not known: ask for a valid one"));
    return new Admission(
        new Caller(owner.name(), owner.admin(), peer), () -> tokens.stands(digest, owner));
  }

  /** Of several names the wrong one might be taken: there must be one alone. */
  private static String commonName(X509Certificate certificate) {
    try {
      List<String> names =
          new LdapName(certificate.getSubjectX500Principal().getName())
              .getRdns().stream()
                  .filter(part -> part.getType().equalsIgnoreCase("CN"))
                  .map(part -> part.getValue().toString())
                  .toList();
      if (names.size() != 1 || !Tokens.isOwner(names.getFirst())) {
        throw unauthenticated(
            "the client certificate names no owner: it needs one common name, of at most 64"
                + " letters, digits, '.', '_', '@' and '-'");
      }
      return names.getFirst();
    } catch (InvalidNameException e) {
      throw new IllegalStateException("the JDK writes names as RFC 2253 wants them", e);
    }
  }

  private static RequestException unauthenticated(String message) {
    return new RequestException(Code.UNAUTHENTICATED, "", message);
  }

  private static boolean isLoopback(SocketAddress peer) {
    return peer instanceof InetSocketAddress address
        && !address.isUnresolved()
        && address.getAddress().isLoopbackAddress();
  }

  private static String describe(SocketAddress peer) {
    return peer instanceof InetSocketAddress address && !address.isUnresolved()
        ? address.getAddress().getHostAddress() + ":" + address.getPort()
        : String.valueOf(peer);
  }
}
