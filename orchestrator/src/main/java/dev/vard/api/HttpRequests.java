package dev.vard.api;

import dev.vard.api.Connections.Connection;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpStatusClass;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.ScheduledFuture;
import java.nio.channels.ClosedChannelException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * One connection's requests, as they arrive: each within a time, all within a number of bytes. It
 * stands before the server's own handlers, which wait and collect for whoever may send.
 */
final class HttpRequests extends ChannelDuplexHandler {
  /** How long a connection may ask for nothing between two requests. */
  private static final Duration IDLE = Duration.ofSeconds(60);

  private final RequestBounds bounds;
  private final Connection connection;
  private final BufferedBytes.Share share;

  /** Of {@link #handlerAdded}, which Netty calls first. */
  @SuppressWarnings("NullAway.Init")
  private ScheduledFuture<?> deadline;

  /** Requests that are whole and not answered. */
  private int inHand;

  /** The request that arrives has its answer: what still comes of it is dropped, not held. */
  private boolean answeredEarly;

  private boolean refused;

  HttpRequests(RequestBounds bounds, Connection connection) {
    this.bounds = bounds;
    this.connection = connection;
    this.share = bounds.buffered().new Share();
  }

  @Override
  public void handlerAdded(ChannelHandlerContext context) {
    // Nothing was asked for yet, so nobody waits for a reason.
    await(context, bounds.patience(), () -> context.close());
  }

  @Override
  public void channelRead(ChannelHandlerContext context, Object message) {
    if (refused) {
      ReferenceCountUtil.release(message);
      return;
    }
    if (message instanceof HttpRequest) {
      answeredEarly = false;
      await(
          context,
          bounds.patience(),
          () ->
              refuse(
                  context,
                  HttpResponseStatus.REQUEST_TIMEOUT,
                  "DEADLINE_EXCEEDED",
                  bounds.tooSlow()));
    }
    if (message instanceof HttpContent content
        && !answeredEarly
        && !share.add(content.content().readableBytes())) {
      ReferenceCountUtil.release(message);
      refuse(
          context,
          HttpResponseStatus.TOO_MANY_REQUESTS,
          "RESOURCE_EXHAUSTED",
          bounds.buffered().refusal());
      return;
    }
    if (message instanceof LastHttpContent) {
      deadline.cancel(false);
      share.release();
      if (answeredEarly) {
        await(context, IDLE, () -> context.close());
      } else {
        inHand++;
        connection.use();
      }
    }
    context.fireChannelRead(message);
  }

  @Override
  public void write(ChannelHandlerContext context, Object message, ChannelPromise promise) {
    if (refused) {
      ReferenceCountUtil.release(message);
      promise.tryFailure(new ClosedChannelException());
      return;
    }
    boolean interim =
        message instanceof HttpResponse response
            && response.status().codeClass() == HttpStatusClass.INFORMATIONAL;
    if (message instanceof LastHttpContent && !interim) {
      promise.unvoid().addListener(written -> answered(context));
    }
    context.write(message, promise);
  }

  /** An answer may come before its request is whole, as to who is not let in. */
  private void answered(ChannelHandlerContext context) {
    if (inHand > 0) {
      inHand--;
      connection.release();
      if (inHand == 0 && deadline.isDone() && context.channel().isActive()) {
        await(context, IDLE, () -> context.close());
      }
    } else {
      answeredEarly = true;
      share.release();
    }
  }

  private void await(ChannelHandlerContext context, Duration patience, Runnable then) {
    if (deadline != null) {
      deadline.cancel(false);
    }
    deadline = context.executor().schedule(then, patience.toNanos(), TimeUnit.NANOSECONDS);
  }

  private void refuse(
      ChannelHandlerContext context, HttpResponseStatus status, String code, String detail) {
    refused = true;
    share.release();
    if (inHand > 0) {
      // An answer to an earlier request is on its way: nothing may come between.
      context.close();
      return;
    }
    String problem =
        ("{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,"
                + "\"detail\":\"%s\",\"code\":\"%s\"}")
            .formatted(status.reasonPhrase(), status.code(), detail, code);
    FullHttpResponse response =
        new DefaultFullHttpResponse(
            HttpVersion.HTTP_1_1, status, Unpooled.copiedBuffer(problem, StandardCharsets.UTF_8));
    response
        .headers()
        .set(HttpHeaderNames.CONTENT_TYPE, "application/problem+json")
        .set(HttpHeaderNames.CONTENT_LENGTH, response.content().readableBytes())
        .set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
    context.writeAndFlush(response).addListener(ChannelFutureListener.CLOSE);
  }

  @Override
  public void channelInactive(ChannelHandlerContext context) {
    if (deadline != null) {
      deadline.cancel(false);
    }
    share.release();
    context.fireChannelInactive();
  }
}
