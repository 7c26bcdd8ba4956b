package dev.vard.api;

import dev.vard.api.Connections.Connection;
import dev.vard.serve.RequestException;
import dev.vard.serve.RequestException.Code;
import io.grpc.Context;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerStreamTracer;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;

/**
 * A call's request, as it arrives: within a time, and all together within a number of bytes. A call
 * whose request has arrived keeps its connection in use.
 */
final class GrpcRequests implements ServerInterceptor {
  private static final Context.Key<Arrival> ARRIVAL = Context.key("arrival");

  private final RequestBounds bounds;
  private final GrpcConnections connections;
  private final ScheduledExecutorService timer;

  GrpcRequests(RequestBounds bounds, GrpcConnections connections, ScheduledExecutorService timer) {
    this.bounds = bounds;
    this.connections = connections;
    this.timer = timer;
  }

  /** Counts bytes where they come in: an interceptor sees whole messages alone. */
  ServerStreamTracer.Factory counting() {
    return new ServerStreamTracer.Factory() {
      @Override
      public ServerStreamTracer newServerStreamTracer(String method, Metadata headers) {
        return new Arrival(bounds.buffered());
      }
    };
  }

  @Override
  public <Q, R> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
    Arrival arrival = ARRIVAL.get();
    Closing<Q, R> closing = new Closing<>(call);
    arrival.refuse.set(
        () ->
            closing.refuse(
                new RequestException(Code.RESOURCE_EXHAUSTED, "", bounds.buffered().refusal())));
    Optional<ScheduledFuture<?>> deadline =
        call.getMethodDescriptor().getType().clientSendsOneMessage()
            ? Optional.of(
                timer.schedule(
                    () ->
                        closing.refuse(
                            new RequestException(Code.DEADLINE_EXCEEDED, "", bounds.tooSlow())),
                    bounds.patience().toNanos(),
                    TimeUnit.NANOSECONDS))
            : Optional.empty();
    return new Arriving<>(
        next.startCall(closing, headers),
        closing,
        deadline,
        connections.from(call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR)));
  }

  /** One request's bytes. gRPC calls it from one thread at a time. */
  private static final class Arrival extends ServerStreamTracer {
    private final BufferedBytes.Share share;
    private final AtomicReference<Runnable> refuse = new AtomicReference<>(() -> {});

    Arrival(BufferedBytes buffered) {
      this.share = buffered.new Share();
    }

    @Override
    public Context filterContext(Context context) {
      return context.withValue(ARRIVAL, this);
    }

    @Override
    public void inboundWireSize(long bytes) {
      synchronized (share) {
        if (!share.add(bytes)) {
          Objects.requireNonNull(refuse.get()).run();
        }
      }
    }

    @Override
    public void inboundMessageRead(int number, long wireBytes, long bytes) {
      release();
    }

    @Override
    public void streamClosed(Status status) {
      release();
    }

    private void release() {
      synchronized (share) {
        share.release();
      }
    }
  }

  /** A call that the deadline, the bound and the method may all want to close: the first does. */
  private static final class Closing<Q, R> extends SimpleForwardingServerCall<Q, R> {
    private final AtomicBoolean closed = new AtomicBoolean();
    private final AtomicBoolean arrived = new AtomicBoolean();

    Closing(ServerCall<Q, R> call) {
      super(call);
    }

    /** Unless the request is there, or was refused before. */
    void refuse(RequestException why) {
      if (arrived.compareAndSet(false, true)) {
        StatusRuntimeException refusal = GrpcErrors.of(why);
        close(refusal.getStatus(), refusal.getTrailers());
      }
    }

    @Override
    public void close(Status status, Metadata trailers) {
      if (closed.compareAndSet(false, true)) {
        super.close(status, trailers);
      }
    }
  }

  /** gRPC calls it from one thread at a time. */
  private static final class Arriving<Q> extends SimpleForwardingServerCallListener<Q> {
    private final Closing<Q, ?> call;
    private final Optional<ScheduledFuture<?>> deadline;
    private final Optional<Connection> connection;
    private boolean inUse;

    Arriving(
        ServerCall.Listener<Q> listener,
        Closing<Q, ?> call,
        Optional<ScheduledFuture<?>> deadline,
        Optional<Connection> connection) {
      super(listener);
      this.call = call;
      this.deadline = deadline;
      this.connection = connection;
    }

    @Override
    public void onHalfClose() {
      if (call.arrived.compareAndSet(false, true)) {
        deadline.ifPresent(timer -> timer.cancel(false));
        inUse = true;
        connection.ifPresent(Connection::use);
        super.onHalfClose();
      }
    }

    @Override
    public void onCancel() {
      over();
      super.onCancel();
    }

    @Override
    public void onComplete() {
      over();
      super.onComplete();
    }

    private void over() {
      deadline.ifPresent(timer -> timer.cancel(false));
      if (inUse) {
        inUse = false;
        connection.ifPresent(Connection::release);
      }
    }
  }
}
