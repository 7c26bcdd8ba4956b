package dev.vard.api;

import dev.vard.api.Connections.Connection;
import io.grpc.netty.NettyServerBuilder;
import io.netty.channel.Channel;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.ServerChannel;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.net.SocketAddress;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/** Bounds the gRPC server's connections: gRPC has no bound of its own. Thread-safe. */
final class GrpcConnections implements AutoCloseable {
  private final ConnectionDoor door;
  private final Map<SocketAddress, Connection> byPeer = new ConcurrentHashMap<>();
  private final EventLoopGroup accepting = group(1);
  private final EventLoopGroup serving = group(0);

  GrpcConnections(int max) {
    this.door = new ConnectionDoor(new Connections(max), this::accepted);
  }

  /** Makes a server's channels such that they come through here. */
  NettyServerBuilder on(NettyServerBuilder builder) {
    return builder
        .channelFactory(this::channel)
        .bossEventLoopGroup(accepting)
        .workerEventLoopGroup(serving);
  }

  /** The connection from this address, while it is open. */
  Optional<Connection> from(SocketAddress peer) {
    return Optional.ofNullable(byPeer.get(peer));
  }

  private void accepted(Channel channel, Connection connection) {
    SocketAddress peer = channel.remoteAddress();
    // Of one that has left already, nobody knows where it came from.
    if (peer != null) {
      byPeer.put(peer, connection);
      channel.closeFuture().addListener(closed -> byPeer.remove(peer, connection));
    }
  }

  private ServerChannel channel() {
    ServerChannel channel = new NioServerSocketChannel();
    channel.pipeline().addLast(ConnectionDoor.NAME, door);
    return channel;
  }

  /**
   * @param threads 0 for as many as Netty finds right
   */
  private static EventLoopGroup group(int threads) {
    return new MultiThreadIoEventLoopGroup(
        threads, new DefaultThreadFactory("grpc-io", true), NioIoHandler.newFactory());
  }

  @Override
  public void close() {
    accepting.shutdownGracefully(0, 1, TimeUnit.SECONDS);
    serving.shutdownGracefully(0, 1, TimeUnit.SECONDS);
  }
}
