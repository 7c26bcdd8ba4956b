package dev.vard.worker;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.vard.proto.v1.WorkerError;
import io.grpc.CallCredentials;
import io.grpc.CallOptions;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import io.grpc.stub.ClientCalls;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A worker in another process, on this machine or another one. */
final class GrpcWorkerClient extends ContractClient {
  private static final Logger LOG = LoggerFactory.getLogger(GrpcWorkerClient.class);
  private static final int MAX_MESSAGE_BYTES = 64 << 20;
  private static final int MAX_METADATA_BYTES = 1 << 20;
  private static final Metadata.Key<byte[]> ERROR =
      Metadata.Key.of("vard-error-bin", Metadata.BINARY_BYTE_MARSHALLER);

  private final String address;
  private final Optional<LocalWorkerProcess> process;
  private final Optional<CallCredentials> token;
  private final ManagedChannel channel;

  /** A worker that somebody else started; whether it is there shows at the first request. */
  GrpcWorkerClient(WorkerLocation.Remote location, WorkerSecurity security) {
    this(location, Optional.empty(), security.channel(), security.token(), KeepAlive.DEFAULT);
    if (token.isPresent() && !security.encrypts()) {
      LOG.warn(
          "The token for {} travels in the clear, to be read by whoever is on the way, unless the"
              + " network itself encrypts: set VARD_WORKER_CA",
          address);
    }
  }

  /** A worker that ends with this client. */
  GrpcWorkerClient(LocalWorkerProcess process) {
    this(process, KeepAlive.DEFAULT);
  }

  GrpcWorkerClient(LocalWorkerProcess process, KeepAlive keepAlive) {
    this(
        new WorkerLocation.Remote("127.0.0.1", process.port()),
        Optional.of(process),
        InsecureChannelCredentials.create(),
        Optional.of(process.token()),
        keepAlive);
  }

  private GrpcWorkerClient(
      WorkerLocation.Remote location,
      Optional<LocalWorkerProcess> process,
      ChannelCredentials credentials,
      Optional<CallCredentials> token,
      KeepAlive keepAlive) {
    this.address = location.host() + ":" + location.port();
    this.process = process;
    this.token = token;
    this.channel =
        Grpc.newChannelBuilder(address, credentials)
            .maxInboundMessageSize(MAX_MESSAGE_BYTES)
            .maxInboundMetadataSize(MAX_METADATA_BYTES)
            .keepAliveTime(keepAlive.every().toNanos(), TimeUnit.NANOSECONDS)
            .keepAliveTimeout(keepAlive.patience().toNanos(), TimeUnit.NANOSECONDS)
            // A worker that is lost while it waits for rewards is lost: better to know at once.
            .keepAliveWithoutCalls(true)
            .build();
  }

  @Override
  <Q, R> R call(MethodDescriptor<Q, R> method, Q request, Duration deadline) {
    try {
      return ClientCalls.blockingV2UnaryCall(channel, method, options(deadline), request);
    } catch (StatusException e) {
      throw failure(method, deadline, e);
    }
  }

  @Override
  <Q, R> void stream(
      MethodDescriptor<Q, R> method, Q request, Consumer<R> answers, Duration deadline) {
    // Asks for one message more each time one is read, so a slow reader holds the worker back.
    BlockingClientCall<Q, R> call =
        ClientCalls.blockingV2ServerStreamingCall(channel, method, options(deadline), request);
    try {
      for (R answer = call.read(); answer != null; answer = call.read()) {
        answers.accept(answer);
      }
    } catch (StatusException e) {
      throw failure(method, deadline, e);
    } catch (InterruptedException e) {
      call.cancel("interrupted", e);
      Thread.currentThread().interrupt();
      throw WorkerException.cancelled(method.getBareMethodName() + " was interrupted", e);
    } catch (RuntimeException | Error e) {
      call.cancel("the reader failed", e);
      throw e;
    }
  }

  @Override
  public void close() {
    channel.shutdownNow();
    process.ifPresent(LocalWorkerProcess::close);
    try {
      channel.awaitTermination(5, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private CallOptions options(Duration deadline) {
    CallOptions options = CallOptions.DEFAULT.withDeadlineAfter(deadline);
    return token.map(options::withCallCredentials).orElse(options);
  }

  private WorkerException failure(
      MethodDescriptor<?, ?> method, Duration deadline, StatusException e) {
    Optional<WorkerError> error = error(e);
    if (error.isPresent()) {
      return WorkerException.refused(error.get(), e);
    }
    String request = method.getBareMethodName();
    Status status = e.getStatus();
    return switch (status.getCode()) {
      case UNAVAILABLE ->
          WorkerException.unavailable(
              process
                  .map(local -> request + ": " + local.diagnosis())
                  .orElse(
                      request
                          + ": no worker answers at "
                          + address
                          + ": check that it runs, that the address is right, and that both"
                          + " sides agree on TLS (VARD_WORKER_CA) ("
                          + reason(status)
                          + ")"),
              e);
      case UNAUTHENTICATED ->
          WorkerException.unavailable(
              request
                  + ": the worker at "
                  + address
                  + " lets nobody in without its token: set VARD_WORKER_TOKEN_FILE to a file that"
                  + " holds what the worker's --token-file holds",
              e);
      case DEADLINE_EXCEEDED ->
          WorkerException.deadline(
              request + " was not done within " + deadline.toSeconds() + " s", e);
      case CANCELLED -> WorkerException.cancelled(request + " was cancelled", e);
      default ->
          WorkerException.internal(
              request + " failed on the worker: " + status.getCode() + ", " + reason(status), e);
    };
  }

  private static String reason(Status status) {
    String cause =
        Optional.ofNullable(status.getCause())
            .map(Throwable::getMessage)
            .orElse("no further reason");
    return Optional.ofNullable(status.getDescription()).map(d -> d + ": " + cause).orElse(cause);
  }

  private static Optional<WorkerError> error(StatusException e) {
    return Optional.ofNullable(e.getTrailers())
        .map(trailers -> trailers.get(ERROR))
        .map(
            bytes -> {
              try {
                return WorkerError.parseFrom(bytes);
              } catch (InvalidProtocolBufferException broken) {
                throw WorkerException.brokenAnswer("the worker's error cannot be read", broken);
              }
            });
  }
}
