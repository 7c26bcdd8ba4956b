package dev.vard.worker;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.MessageLite;
import dev.vard.proto.v1.EmbeddedReply;
import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.WorkerError;
import io.grpc.MethodDescriptor;
import java.io.InputStream;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import jep.DirectNDArray;
import jep.JepException;
import jep.python.PyCallable;
import jep.python.PyObject;

/**
 * A worker inside this JVM.
 *
 * <p>Answers come through a short queue from the Python thread to the calling one, so that Python
 * goes on while the caller is busy with the last answer, and waits when the caller falls behind.
 * Clients of one JVM share its Python thread and PyTorch's number of threads, and so take turns.
 *
 * <p>A call returns only when Python has let go of it: deadlines and interrupts are noticed between
 * two steps, not within one.
 */
final class JepWorkerClient extends ContractClient {
  private static final int ANSWERS_AHEAD = 2;

  private final EmbeddedPython python;

  /** Used on the Python thread alone. */
  private final PyObject worker;

  private volatile boolean closed;

  JepWorkerClient(WorkerEnvironment environment, int threads) {
    python = EmbeddedPython.start(environment);
    worker =
        await(
            python.submit(
                interpreter -> {
                  interpreter.exec("from vard_worker.embedded import EmbeddedWorker");
                  try (PyCallable type = interpreter.getValue("EmbeddedWorker", PyCallable.class)) {
                    return type.callAs(PyObject.class, threads);
                  }
                }));
  }

  @Override
  <Q, R> R call(MethodDescriptor<Q, R> method, Q request, Duration deadline) {
    var answers = new ArrayList<R>();
    stream(method, request, answers::add, deadline);
    if (answers.size() != 1) {
      throw WorkerException.brokenAnswer(
          method.getBareMethodName() + " has " + answers.size() + " answers", null);
    }
    return answers.getFirst();
  }

  @Override
  <Q, R> void stream(
      MethodDescriptor<Q, R> method, Q request, Consumer<R> answers, Duration deadline) {
    if (closed) {
      throw WorkerException.unavailable(
          method.getBareMethodName() + ": this client is closed", null);
    }
    var call = new Call(method.getBareMethodName(), (MessageLite) request, deadline);
    Future<?> running =
        python.submit(
            interpreter -> {
              call.run();
              return Optional.empty();
            });
    try {
      for (Optional<byte[]> reply = call.take(); reply.isPresent(); reply = call.take()) {
        answers.accept(method.parseResponse(call.response(reply.get())));
      }
    } catch (RuntimeException | Error e) {
      call.giveUp();
      throw e;
    }
    await(running);
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    await(
        python.submit(
            interpreter -> {
              // The sessions go with it: nothing else refers to them.
              worker.close();
              interpreter.exec("import gc; gc.collect()");
              return Optional.empty();
            }));
  }

  /**
   * Waits for the Python thread, interrupted or not, as it uses what is the caller's; it ends at
   * its next step.
   */
  private static <T> T await(Future<T> running) {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return running.get();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    } catch (ExecutionException e) {
      Throwable cause = Objects.requireNonNull(e.getCause());
      throw WorkerException.internal("the embedded worker failed: " + cause.getMessage(), cause);
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** One call, between the calling thread and the Python thread. */
  private final class Call {
    private final String method;
    private final MessageLite request;
    private final Duration deadline;
    private final long end;

    /** An empty one is the end. */
    private final BlockingQueue<Optional<byte[]>> replies = new ArrayBlockingQueue<>(ANSWERS_AHEAD);

    private volatile boolean givenUp;

    Call(String method, MessageLite request, Duration deadline) {
      this.method = method;
      this.request = request;
      this.deadline = deadline;
      this.end = System.nanoTime() + deadline.toNanos();
    }

    // -------------------------------------------------------------------------------- on the
    // Python thread

    void run() throws JepException, InterruptedException {
      try {
        if (isCancelled()) {
          // While it waited for its turn. Not every method asks again.
          var error =
              WorkerError.newBuilder()
                  .setCode(ErrorCode.CANCELLED)
                  .setMessage(method + " was cancelled");
          replies.put(
              Optional.of(EmbeddedReply.newBuilder().setError(error).build().toByteArray()));
        } else {
          compute();
        }
      } finally {
        // The caller always takes until it finds this, so that it does not stay full.
        replies.put(Optional.empty());
      }
    }

    private void compute() throws JepException, InterruptedException {
      ByteBuffer bytes = ByteBuffer.allocateDirect(request.getSerializedSize());
      bytes.put(request.toByteString().asReadOnlyByteBuffer()).flip();
      BooleanSupplier cancelled = this::isCancelled;
      try (PyCallable start = worker.getAttr("call", PyCallable.class);
          PyObject call =
              start.callAs(PyObject.class, method, new DirectNDArray<>(bytes, true), cancelled);
          PyCallable next = call.getAttr("next", PyCallable.class)) {
        for (byte[] reply = next.callAs(byte[].class);
            reply != null;
            reply = next.callAs(byte[].class)) {
          replies.put(Optional.of(reply));
        }
      }
      Reference.reachabilityFence(bytes);
    }

    private boolean isCancelled() {
      return givenUp || closed || isLate();
    }

    private boolean isLate() {
      return System.nanoTime() - end > 0;
    }

    // -------------------------------------------------------------------------------- on the
    // calling thread

    Optional<byte[]> take() {
      try {
        return replies.take();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw WorkerException.cancelled(method + " was interrupted", e);
      }
    }

    InputStream response(byte[] bytes) {
      EmbeddedReply reply;
      try {
        reply = EmbeddedReply.parseFrom(bytes);
      } catch (InvalidProtocolBufferException e) {
        throw WorkerException.brokenAnswer(method + ": the worker's answer cannot be read", e);
      }
      return switch (reply.getResultCase()) {
        case RESPONSE -> reply.getResponse().newInput();
        case ERROR ->
            throw isLate() && reply.getError().getCode() == ErrorCode.CANCELLED
                ? WorkerException.deadline(
                    method + " was not done within " + deadline.toSeconds() + " s", null)
                : WorkerException.refused(reply.getError(), null);
        case RESULT_NOT_SET ->
            throw WorkerException.brokenAnswer(method + ": the worker's answer is empty", null);
      };
    }

    /** Cancels, and waits until the Python thread has let go. */
    void giveUp() {
      givenUp = true;
      boolean interrupted = false;
      while (true) {
        try {
          if (replies.take().isEmpty()) {
            break;
          }
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
