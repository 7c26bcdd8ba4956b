package dev.vard.api;

import dev.vard.proto.v1.RunServiceGrpc;
import dev.vard.serve.Runs;
import dev.vard.serve.ServeSettings;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallExecutorSupplier;
import io.grpc.ServerCredentials;
import io.grpc.ServerInterceptors;
import io.grpc.TlsServerCredentials;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import io.grpc.protobuf.services.ProtoReflectionServiceV1;
import io.grpc.util.AdvancedTlsX509KeyManager;
import java.io.File;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.security.GeneralSecurityException;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.logging.Level;
import java.util.logging.Logger;

/** The gRPC server: {@code vard.v1.RunService}, health and reflection. */
public final class GrpcApi implements AutoCloseable {
  private static final int MAX_METADATA_BYTES = 16 << 10;

  /** Calls of a connection beside its streams, of which the owner's limit speaks. */
  private static final int UNARY_CALLS = 128;

  /**
   * Of streams that a client takes back: all that it may have open, at once. Beyond it, gRPC ends
   * the connection: who opens and takes back without end (rapid reset) costs no more.
   */
  private static final int RESET_SECONDS = 10;

  private static final int CERTIFICATE_CHECK_MINUTES = 1;
  private static final int GRACE_SECONDS = 5;

  private final ServeSettings settings;
  private final Runs runs;
  private final Authenticator authenticator;
  private final Streams streams;

  /** Kept, for the platform forgets the level of a logger that nobody holds. */
  private final Logger transportLog = Logger.getLogger("io.grpc.netty");

  private final HealthStatusManager health = new HealthStatusManager();
  private final ExecutorService calls =
      Executors.newThreadPerTaskExecutor(Thread.ofVirtual().name("grpc-", 0).factory());

  /** Finds each call's method, and answers health: nothing that blocks, or takes long. */
  private final ExecutorService dispatching =
      Executors.newFixedThreadPool(2, Thread.ofPlatform().name("grpc-", 0).daemon().factory());

  private final ScheduledThreadPoolExecutor timer =
      new ScheduledThreadPoolExecutor(1, Thread.ofPlatform().name("grpc-timer").daemon().factory());
  private final GrpcConnections connections;
  private final GrpcRequests arriving;
  private final AtomicBoolean closed = new AtomicBoolean();

  /** Of {@link #start}. */
  @SuppressWarnings("NullAway.Init")
  private Server server;

  /**
   * @param streams is closed with this server's last call, by its owner
   */
  GrpcApi(
      ServeSettings settings,
      Runs runs,
      Authenticator authenticator,
      Streams streams,
      RequestBounds bounds) {
    this.settings = settings;
    this.runs = runs;
    this.authenticator = authenticator;
    this.streams = streams;
    this.connections = new GrpcConnections(settings.maxConnections());
    this.arriving = new GrpcRequests(bounds, connections, timer);
    // Nearly every deadline is called off at once.
    timer.setRemoveOnCancelPolicy(true);
    // It warns, with a trace, of readers that leave and of requests that are too large.
    transportLog.setLevel(Level.SEVERE);
    ready(false);
  }

  /**
   * Listens.
   *
   * @return the port, which is a free one where the settings say 0
   * @throws SettingsException if the server must not listen there, or cannot
   */
  public int start() {
    Exposure.check(settings);
    InetSocketAddress address = new InetSocketAddress(settings.host(), settings.grpcPort());
    try {
      server =
          connections
              .on(NettyServerBuilder.forAddress(address, credentials()))
              .executor(dispatching)
              .callExecutor(new OffHealth())
              .addService(
                  // The last one is the outermost: nobody's bytes are parsed before we know whose.
                  ServerInterceptors.intercept(
                      ServerInterceptors.useInputStreamMessages(
                          new GrpcRuns(runs, streams).bindService()),
                      new GrpcGuard()))
              .addService(health.getHealthService())
              .addService(ProtoReflectionServiceV1.newInstance())
              .addStreamTracerFactory(arriving.counting())
              .intercept(arriving)
              .intercept(new GrpcAuthentication(authenticator))
              .maxInboundMessageSize(ApiProperties.maxRequestBytes(settings))
              .maxInboundMetadataSize(MAX_METADATA_BYTES)
              .maxConcurrentCallsPerConnection(callsOfConnection())
              .maxRstFramesPerWindow(callsOfConnection(), RESET_SECONDS)
              .handshakeTimeout(10, TimeUnit.SECONDS)
              // Finds out within a minute that a watcher's machine is gone.
              .keepAliveTime(30, TimeUnit.SECONDS)
              .keepAliveTimeout(20, TimeUnit.SECONDS)
              .permitKeepAliveTime(10, TimeUnit.SECONDS)
              .permitKeepAliveWithoutCalls(true)
              .maxConnectionIdle(15, TimeUnit.MINUTES)
              .build()
              .start();
    } catch (IOException e) {
      throw new SettingsException(
          "gRPC cannot listen at %s:%d (%s): give a free port of this machine"
              .formatted(settings.host(), settings.grpcPort(), e.getMessage()),
          e);
    }
    return server.getPort();
  }

  /** What the health service says. */
  public void ready(boolean ready) {
    ServingStatus status = ready ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
    health.setStatus(HealthStatusManager.SERVICE_NAME_ALL_SERVICES, status);
    health.setStatus(RunServiceGrpc.SERVICE_NAME, status);
  }

  /** Takes no more calls, tells the watchers, and lets calls in hand end. */
  @Override
  public void close() {
    if (closed.getAndSet(true)) {
      return;
    }
    health.enterTerminalState();
    if (server != null) {
      server.shutdown();
      streams.close();
      try {
        server.awaitTermination(GRACE_SECONDS, TimeUnit.SECONDS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      server.shutdownNow();
    }
    timer.shutdownNow();
    calls.shutdown();
    dispatching.shutdown();
    connections.close();
  }

  private int callsOfConnection() {
    return settings.maxStreamsPerOwner() + UNARY_CALLS;
  }

  /** Runs all calls but health's on virtual threads. */
  private final class OffHealth implements ServerCallExecutorSupplier {
    @Override
    public <Q, R> Executor getExecutor(ServerCall<Q, R> call, Metadata headers) {
      return HealthGrpc.SERVICE_NAME.equals(call.getMethodDescriptor().getServiceName())
          ? dispatching
          : calls;
    }
  }

  private ServerCredentials credentials() {
    if (settings.certificate().isEmpty()) {
      return InsecureServerCredentials.create();
    }
    try {
      AdvancedTlsX509KeyManager keys = new AdvancedTlsX509KeyManager();
      // Certificates are renewed more often than servers are restarted.
      keys.updateIdentityCredentials(
          new File(settings.certificate()),
          new File(settings.key()),
          CERTIFICATE_CHECK_MINUTES,
          TimeUnit.MINUTES,
          timer);
      TlsServerCredentials.Builder credentials = TlsServerCredentials.newBuilder().keyManager(keys);
      if (!settings.clientAuthority().isEmpty()) {
        credentials
            .trustManager(new File(settings.clientAuthority()))
            .clientAuth(TlsServerCredentials.ClientAuth.REQUIRE);
      }
      return credentials.build();
    } catch (IOException | GeneralSecurityException | IllegalArgumentException e) {
      throw new SettingsException(
          "TLS cannot be set up from certificate '%s', key '%s' and client authority '%s' (%s): give PEM files, the key in PKCS #8 without a password"
              .formatted(
                  settings.certificate(),
                  settings.key(),
                  settings.clientAuthority(),
                  e.getMessage()),
          e);
    }
  }
}
