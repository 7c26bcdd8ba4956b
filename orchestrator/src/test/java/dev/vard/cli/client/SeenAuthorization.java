package dev.vard.cli.client;

import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import java.util.Optional;

/** Remembers what the call that is answered came with. */
final class SeenAuthorization implements ServerInterceptor {
  private static final Context.Key<String> SEEN = Context.key("authorization");

  private static final Metadata.Key<String> HEADER =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  @Override
  public <Q, R> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
    String value = Optional.ofNullable(headers.get(HEADER)).orElse("");
    return Contexts.interceptCall(Context.current().withValue(SEEN, value), call, headers, next);
  }

  /** Empty if it came with none. */
  static String ofThisCall() {
    return SEEN.get();
  }
}
