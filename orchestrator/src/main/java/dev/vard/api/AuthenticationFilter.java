package dev.vard.api;

import dev.vard.serve.Caller;
import dev.vard.serve.RequestException;
import dev.vard.serve.RequestException.Code;
import io.micronaut.context.annotation.Requires;
import io.micronaut.core.annotation.Nullable;
import io.micronaut.core.order.Ordered;
import io.micronaut.http.HttpAttributes;
import io.micronaut.http.HttpHeaders;
import io.micronaut.http.HttpRequest;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.annotation.RequestFilter;
import io.micronaut.http.annotation.ServerFilter;
import java.net.URI;
import java.security.Principal;
import java.security.cert.X509Certificate;
import java.util.Optional;
import java.util.Set;

/**
 * Lets in whom we know. Probes and the API's description are for everybody; health tells its
 * details to whom we know.
 *
 * <p>A browser shows a certificate, and reaches this machine's loopback, on behalf of any page that
 * it has open. So where no token is shown, a request must not come from another site's page, and on
 * loopback not under a name that another site made up (DNS rebinding).
 */
@ServerFilter(ServerFilter.MATCH_ALL_PATTERN)
@Requires(property = ApiProperties.ENABLED)
final class AuthenticationFilter implements Ordered {
  private static final String ADMISSION = "vard.admission";
  private static final Set<String> OPEN =
      Set.of("/health", "/health/liveness", "/health/readiness", "/openapi.yaml");

  private final Authenticator authenticator;

  AuthenticationFilter(Authenticator authenticator) {
    this.authenticator = authenticator;
  }

  /** Who makes the request. */
  static Caller caller(HttpRequest<?> request) {
    return admission(request).caller();
  }

  static Admission admission(HttpRequest<?> request) {
    return request.getAttribute(ADMISSION, Admission.class).orElseThrow();
  }

  @Override
  public int getOrder() {
    return HIGHEST_PRECEDENCE;
  }

  @RequestFilter
  @Nullable
  HttpResponse<?> authenticate(HttpRequest<?> request) {
    boolean open = OPEN.contains(request.getPath());
    try {
      Admission admission = authenticator.admit(credentials(request));
      checkSite(request);
      request.setAttribute(ADMISSION, admission);
      request.setAttribute(HttpAttributes.PRINCIPAL, (Principal) () -> admission.caller().owner());
      return null;
    } catch (RequestException e) {
      return open ? null : Problems.refuse(e);
    }
  }

  private static Credentials credentials(HttpRequest<?> request) {
    return new Credentials(
        request.getHeaders().findFirst(HttpHeaders.AUTHORIZATION),
        request.getCertificate().map(X509Certificate.class::cast),
        request.getRemoteAddress());
  }

  private void checkSite(HttpRequest<?> request) {
    boolean byToken =
        !authenticator.open() && request.getHeaders().contains(HttpHeaders.AUTHORIZATION);
    if (byToken) {
      return;
    }
    String host =
        request
            .getHeaders()
            .findFirst(HttpHeaders.HOST)
            .orElseThrow(
                () ->
                    new RequestException(
                        Code.INVALID_ARGUMENT, "", "the request is none of HTTP, or has no Host"));
    if (authenticator.open() && !isLoopback(host)) {
      throw new RequestException(
          Code.PERMISSION_DENIED,
          "",
          "without tokens this server answers to `localhost` and its addresses alone: call it so");
    }
    Optional<String> origin = request.getHeaders().findFirst(HttpHeaders.ORIGIN);
    if (origin.isPresent() && !origin.get().replaceFirst("^https?://", "").equals(host)) {
      throw new RequestException(
          Code.PERMISSION_DENIED, "", "pages of other sites need a token: send one");
    }
  }

  private static boolean isLoopback(String host) {
    try {
      String name = URI.create("http://" + host).getHost();
      return name != null
          && (name.equalsIgnoreCase("localhost")
              || name.equals("[::1]")
              || name.matches("127(\\.\\d{1,3}){3}"));
    } catch (IllegalArgumentException e) {
      return false;
    }
  }
}
