package dev.vard.worker;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.vard.proto.v1.WorkerError;
import io.grpc.CallOptions;
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

/** A worker in another process, on this machine or another one. */
final class GrpcWorkerClient extends ContractClient {
  private static final int MAX_MESSAGE_BYTES = 64 << 20;
  private static final int MAX_METADATA_BYTES = 1 << 20;
  private static final Metadata.Key<byte[]> ERROR =
      Metadata.Key.of("vard-error-bin", Metadata.BINARY_BYTE_MARSHALLER);

  private final String address;
  private final Optional<LocalWorkerProcess> process;
  private final ManagedChannel channel;

  /** A worker that somebody else started; whether it is there shows at the first request. */
  GrpcWorkerClient(WorkerLocation.Remote location) {
    this(location, Optional.empty());
  }

  /** A worker that ends with this client. */
  GrpcWorkerClient(LocalWorkerProcess process) {
    this(new WorkerLocation.Remote("127.0.0.1", process.port()), Optional.of(process));
  }

  private GrpcWorkerClient(WorkerLocation.Remote location, Optional<LocalWorkerProcess> process) {
    this.address = location.host() + ":" + location.port();
    this.process = process;
    this.channel =
        Grpc.newChannelBuilder(address, InsecureChannelCredentials.create())
            .maxInboundMessageSize(MAX_MESSAGE_BYTES)
            .maxInboundMetadataSize(MAX_METADATA_BYTES)
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

  private static CallOptions options(Duration deadline) {
    return CallOptions.DEFAULT.withDeadlineAfter(deadline);
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
                          + ": check that it runs and that the address is right ("
                          + reason(status)
                          + ")"),
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
