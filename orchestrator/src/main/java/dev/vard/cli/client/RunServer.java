package dev.vard.cli.client;

import dev.vard.proto.v1.RunServiceGrpc;
import dev.vard.proto.v1.RunServiceGrpc.RunServiceBlockingV2Stub;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** The way to a server; it is taken when the first call is made. */
final class RunServer implements AutoCloseable {
  /** Of a call that answers once. Generous: a busy server is better waited for than asked again. */
  static final Duration PATIENCE = Duration.ofSeconds(30);

  /** A page of runs, each with as many prompts as a server takes. */
  private static final int MAX_MESSAGE_BYTES = 64 << 20;

  private static final int MAX_METADATA_BYTES = 1 << 20;
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final ServerAddress address;
  private final ManagedChannel channel;
  private final RunServiceBlockingV2Stub stub;

  RunServer(ServerAddress address, ChannelCredentials credentials, Optional<String> token) {
    this.address = address;
    this.channel =
        Grpc.newChannelBuilderForAddress(address.host(), address.port(), credentials)
            .maxInboundMessageSize(MAX_MESSAGE_BYTES)
            .maxInboundMetadataSize(MAX_METADATA_BYTES)
            // A watched run may be silent for hours: only this tells it from a server that is gone.
            .keepAliveTime(30, TimeUnit.SECONDS)
            .keepAliveTimeout(20, TimeUnit.SECONDS)
            .build();
    Metadata headers = new Metadata();
    token.ifPresent(secret -> headers.put(AUTHORIZATION, "Bearer " + secret));
    this.stub =
        RunServiceGrpc.newBlockingV2Stub(channel)
            .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  ServerAddress address() {
    return address;
  }

  /** For one call: its deadline begins now. */
  RunServiceBlockingV2Stub call() {
    return stub.withDeadlineAfter(PATIENCE);
  }

  /** For calls that take as long as they take. */
  RunServiceBlockingV2Stub stream() {
    return stub;
  }

  /** Tries the way again at the next call, however often it failed before. */
  void reconnect() {
    channel.resetConnectBackoff();
  }

  @Override
  public void close() {
    channel.shutdownNow();
    try {
      channel.awaitTermination(5, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
