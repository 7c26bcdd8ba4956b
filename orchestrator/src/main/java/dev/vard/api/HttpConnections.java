package dev.vard.api;

import dev.vard.api.Connections.Connection;
import dev.vard.serve.ServeSettings;
import io.micronaut.context.annotation.Requires;
import io.micronaut.context.event.BeanCreatedEvent;
import io.micronaut.context.event.BeanCreatedEventListener;
import io.micronaut.http.netty.channel.ChannelPipelineCustomizer;
import io.micronaut.http.server.netty.NettyServerCustomizer;
import io.netty.channel.Channel;
import io.netty.util.AttributeKey;
import jakarta.inject.Singleton;

/** Bounds the HTTP server's connections, and what may arrive on each. */
@Singleton
@Requires(property = ApiProperties.ENABLED)
final class HttpConnections implements BeanCreatedEventListener<NettyServerCustomizer.Registry> {
  private static final AttributeKey<Connection> CONNECTION =
      AttributeKey.valueOf("vard.connection");

  private final ConnectionDoor door;
  private final RequestBounds bounds;

  HttpConnections(ServeSettings settings, RequestBounds bounds) {
    this.door =
        new ConnectionDoor(
            new Connections(settings.maxConnections()),
            (channel, connection) -> channel.attr(CONNECTION).set(connection));
    this.bounds = bounds;
  }

  @Override
  public NettyServerCustomizer.Registry onCreated(
      BeanCreatedEvent<NettyServerCustomizer.Registry> event) {
    event.getBean().register(new Listener());
    return event.getBean();
  }

  private final class Listener implements NettyServerCustomizer {
    @Override
    public NettyServerCustomizer specializeForChannel(Channel channel, ChannelRole role) {
      return switch (role) {
        case LISTENER -> {
          channel.pipeline().addFirst(ConnectionDoor.NAME, door);
          yield this;
        }
        case CONNECTION -> new Accepted(channel);
        case REQUEST_STREAM, PUSH_PROMISE_STREAM -> this;
      };
    }
  }

  private final class Accepted implements NettyServerCustomizer {
    private final Channel channel;

    Accepted(Channel channel) {
      this.channel = channel;
    }

    @Override
    public void onInitialPipelineBuilt() {
      channel
          .pipeline()
          .addAfter(
              ChannelPipelineCustomizer.HANDLER_HTTP_SERVER_CODEC,
              "vard-requests",
              new HttpRequests(bounds, channel.attr(CONNECTION).get()));
    }
  }
}
