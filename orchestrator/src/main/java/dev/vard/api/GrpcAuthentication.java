package dev.vard.api;

import dev.vard.serve.Caller;
import dev.vard.serve.RequestException;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthGrpc;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.util.Optional;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSession;

/**
 * Lets in whom we know. The health check alone is for everybody: who probes it has no token. Its
 * watch is not, for it holds a stream.
 */
final class GrpcAuthentication implements ServerInterceptor {
  private static final Context.Key<Admission> ADMISSION = Context.key("admission");
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final Authenticator authenticator;

  GrpcAuthentication(Authenticator authenticator) {
    this.authenticator = authenticator;
  }

  /** Who makes the call in hand. */
  static Caller caller() {
    return admission().caller();
  }

  static Admission admission() {
    return ADMISSION.get();
  }

  @Override
  public <Q, R> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
    if (call.getMethodDescriptor()
        .getFullMethodName()
        .equals(HealthGrpc.getCheckMethod().getFullMethodName())) {
      return next.startCall(call, headers);
    }
    Admission admission;
    try {
      admission = authenticator.admit(credentials(call, headers));
    } catch (RequestException e) {
      StatusRuntimeException refusal = GrpcErrors.of(e);
      call.close(refusal.getStatus(), refusal.getTrailers());
      return new ServerCall.Listener<>() {};
    }
    return Contexts.interceptCall(
        Context.current().withValue(ADMISSION, admission), call, headers, next);
  }

  private static Credentials credentials(ServerCall<?, ?> call, Metadata headers) {
    SSLSession session = call.getAttributes().get(Grpc.TRANSPORT_ATTR_SSL_SESSION);
    return new Credentials(
        Optional.ofNullable(headers.get(AUTHORIZATION)),
        Optional.ofNullable(session).flatMap(GrpcAuthentication::certificate),
        call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR));
  }

  private static Optional<X509Certificate> certificate(SSLSession session) {
    try {
      Certificate[] chain = session.getPeerCertificates();
      return chain.length > 0 && chain[0] instanceof X509Certificate certificate
          ? Optional.of(certificate)
          : Optional.empty();
    } catch (SSLPeerUnverifiedException e) {
      // It showed none, and TLS did not ask for one.
      return Optional.empty();
    }
  }
}
