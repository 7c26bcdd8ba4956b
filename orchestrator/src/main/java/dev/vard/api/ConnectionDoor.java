package dev.vard.api;

import dev.vard.api.Connections.Connection;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import java.util.Optional;
import java.util.function.BiConsumer;

/** Where a listening channel's connections come in, before anything is done for them. */
@ChannelHandler.Sharable
final class ConnectionDoor extends ChannelInboundHandlerAdapter {
  static final String NAME = "vard-connections";

  private final Connections connections;
  private final BiConsumer<Channel, Connection> accepted;

  /**
   * @param accepted is told of each that was let in, before it is served
   */
  ConnectionDoor(Connections connections, BiConsumer<Channel, Connection> accepted) {
    this.connections = connections;
    this.accepted = accepted;
  }

  @Override
  public void channelRead(ChannelHandlerContext context, Object message) {
    Channel channel = (Channel) message;
    Optional<Connection> connection = connections.open(() -> close(channel));
    if (connection.isEmpty()) {
      channel.unsafe().closeForcibly();
      return;
    }
    channel.closeFuture().addListener(closed -> connection.get().leave());
    accepted.accept(channel, connection.get());
    context.fireChannelRead(message);
  }

  private static void close(Channel channel) {
    if (channel.isRegistered()) {
      channel.close();
    } else {
      channel.unsafe().closeForcibly();
    }
  }
}
