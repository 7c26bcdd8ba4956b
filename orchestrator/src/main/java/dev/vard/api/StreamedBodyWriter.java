package dev.vard.api;

import io.micronaut.context.annotation.Requires;
import io.micronaut.core.type.Argument;
import io.micronaut.core.type.MutableHeaders;
import io.micronaut.http.HttpRequest;
import io.micronaut.http.HttpRequestWrapper;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.MediaType;
import io.micronaut.http.body.ByteBodyFactory;
import io.micronaut.http.body.CloseableByteBody;
import io.micronaut.http.body.ResponseBodyWriter;
import io.micronaut.http.body.stream.BodySizeLimits;
import io.micronaut.http.codec.CodecException;
import io.micronaut.http.server.netty.NettyHttpRequest;
import jakarta.inject.Singleton;
import java.io.OutputStream;
import java.util.concurrent.Executor;

/** Hands a {@link StreamedBody} to the HTTP server. */
@Singleton
@Requires(property = ApiProperties.ENABLED)
final class StreamedBodyWriter implements ResponseBodyWriter<StreamedBody> {

  @Override
  public CloseableByteBody writePiece(
      ByteBodyFactory bodies,
      HttpRequest<?> request,
      HttpResponse<?> response,
      Argument<StreamedBody> type,
      MediaType mediaType,
      StreamedBody body) {
    return bodies.adapt(
        body.publisher(bodies.readBufferFactory(), connection(request)),
        BodySizeLimits.UNLIMITED,
        response.getHeaders(),
        body::discard);
  }

  /** The one thread that the request's connection is served, and closed, by. */
  private static Executor connection(HttpRequest<?> request) {
    return switch (request) {
      case NettyHttpRequest<?> netty -> netty.getChannelHandlerContext().channel().eventLoop();
      case HttpRequestWrapper<?> wrapper -> connection(wrapper.getDelegate());
      default -> throw new CodecException(request + " came by no connection");
    };
  }

  @Override
  public void writeTo(
      Argument<StreamedBody> type,
      MediaType mediaType,
      StreamedBody body,
      MutableHeaders headers,
      OutputStream out)
      throws CodecException {
    throw new CodecException("a streamed body goes to a socket alone");
  }
}
