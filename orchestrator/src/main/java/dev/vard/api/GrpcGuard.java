package dev.vard.api;

import dev.vard.serve.RequestException;
import dev.vard.serve.RequestException.Code;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.StatusRuntimeException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Turns whatever goes wrong into the status that it deserves. Requests come to it as bytes, so that
 * those that are no messages are the caller's fault too; gRPC itself would answer UNKNOWN.
 */
final class GrpcGuard implements ServerInterceptor {
  private static final Logger LOG = LoggerFactory.getLogger(GrpcGuard.class);

  @Override
  public <Q, R> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
    return new Guarded<>(call, next.startCall(call, headers));
  }

  /** One call. gRPC calls it from one thread at a time. */
  private static final class Guarded<Q, R> extends SimpleForwardingServerCallListener<Q> {
    private final ServerCall<Q, R> call;
    private boolean asked;
    private boolean refused;

    Guarded(ServerCall<Q, R> call, ServerCall.Listener<Q> delegate) {
      super(delegate);
      this.call = call;
    }

    @Override
    public void onMessage(Q request) {
      // gRPC itself refuses a second one.
      asked = true;
      guard(
          () -> {
            try {
              super.onMessage(request);
            } catch (StatusRuntimeException e) {
              // Thrown where the bytes are parsed.
              throw invalid("the request is no " + request() + ": " + e.getCause());
            }
          });
    }

    @Override
    public void onHalfClose() {
      guard(
          () -> {
            if (!asked) {
              throw invalid("the request is missing");
            }
            super.onHalfClose();
          });
    }

    @Override
    public void onReady() {
      guard(super::onReady);
    }

    private void guard(Runnable step) {
      if (refused) {
        return;
      }
      try {
        step.run();
      } catch (RequestException e) {
        refuse(GrpcErrors.of(e));
      } catch (RuntimeException e) {
        LOG.error("{} failed", call.getMethodDescriptor().getFullMethodName(), e);
        refuse(GrpcErrors.defect());
      }
    }

    private void refuse(StatusRuntimeException e) {
      refused = true;
      Metadata trailers = e.getTrailers();
      call.close(e.getStatus(), trailers == null ? new Metadata() : trailers);
    }

    private String request() {
      return call.getMethodDescriptor().getBareMethodName() + "Request";
    }

    private static RequestException invalid(String message) {
      return new RequestException(Code.INVALID_ARGUMENT, "", message);
    }
  }
}
