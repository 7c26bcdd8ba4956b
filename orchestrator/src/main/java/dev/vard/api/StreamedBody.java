package dev.vard.api;

import dev.vard.serve.RequestException;
import io.micronaut.core.io.buffer.ReadBuffer;
import io.micronaut.core.io.buffer.ReadBufferFactory;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.reactivestreams.Publisher;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;

/**
 * A response's body that is sent piece by piece, as the reader takes it. The HTTP server asks for a
 * piece when the socket has taken the one before.
 */
final class StreamedBody {
  private final Streams streams;
  private final Streams.Place place;
  private final StreamTask.Source<byte[]> source;
  private final boolean endsAnywhere;
  private final AtomicBoolean begun = new AtomicBoolean();

  /**
   * Owns the place and the source from now on.
   *
   * @param endsAnywhere whether the reader, when the server stops, sees a proper end and comes back
   *     for the rest; else the connection breaks off
   */
  StreamedBody(
      Streams streams,
      Streams.Place place,
      StreamTask.Source<byte[]> source,
      boolean endsAnywhere) {
    this.streams = streams;
    this.place = place;
    this.source = source;
    this.endsAnywhere = endsAnywhere;
  }

  /**
   * Of one subscriber.
   *
   * @param connection the thread of the reader's connection. The subscriber hears everything there:
   *     from another thread a piece could be on its way while the connection is closed, and the
   *     HTTP server takes a piece after that for a defect.
   */
  Publisher<ReadBuffer> publisher(ReadBufferFactory buffers, Executor connection) {
    return subscriber -> {
      begun.set(true);
      Pull pull = new Pull(subscriber, buffers, connection);
      subscriber.onSubscribe(pull);
      streams.start(pull.task, place);
    };
  }

  /** Nobody wants it: the connection is gone. */
  void discard() {
    if (!begun.get()) {
      end();
    }
  }

  private void end() {
    place.close();
    source.close();
  }

  /** One subscription. */
  private final class Pull implements Subscription, StreamTask.Outlet<byte[]> {
    private final Subscriber<? super ReadBuffer> subscriber;
    private final ReadBufferFactory buffers;
    private final Executor connection;
    private final StreamTask<byte[]> task = new StreamTask<>(source, this);
    private final AtomicLong demand = new AtomicLong();
    private volatile boolean cancelled;

    Pull(
        Subscriber<? super ReadBuffer> subscriber, ReadBufferFactory buffers, Executor connection) {
      this.subscriber = subscriber;
      this.buffers = buffers;
      this.connection = connection;
    }

    @Override
    public void request(long n) {
      demand.accumulateAndGet(n, (have, more) -> have + more < have ? Long.MAX_VALUE : have + more);
      task.roomChanged();
    }

    @Override
    public void cancel() {
      cancelled = true;
      task.gone();
      place.close();
    }

    @Override
    public boolean ready() {
      return demand.get() > 0;
    }

    @Override
    public void send(byte[] piece) {
      demand.decrementAndGet();
      tell(() -> subscriber.onNext(buffers.adapt(piece)));
    }

    private void tell(Runnable what) {
      try {
        connection.execute(
            () -> {
              if (!cancelled) {
                what.run();
              }
            });
      } catch (RejectedExecutionException e) {
        // The server has stopped, and its connections with it.
        cancel();
      }
    }

    @Override
    public void end() {
      place.close();
      tell(subscriber::onComplete);
    }

    @Override
    public void fail(RequestException why) {
      if (endsAnywhere && why.code() == RequestException.Code.UNAVAILABLE) {
        end();
        return;
      }
      if (endsAnywhere && why.code() == RequestException.Code.UNAUTHENTICATED && ready()) {
        send(EventJson.refused(why));
        end();
        return;
      }
      place.close();
      tell(() -> subscriber.onError(new BrokenOff(why.getMessage())));
    }

    @Override
    public void fail() {
      place.close();
      tell(() -> subscriber.onError(new BrokenOff("a defect")));
    }
  }

  /**
   * The response has begun, and cannot be finished: the server closes the connection. Without a
   * stack trace, for the server logs it and it is no defect.
   */
  private static final class BrokenOff extends RuntimeException {
    private static final long serialVersionUID = 1L;

    BrokenOff(String message) {
      super(message, null, false, false);
    }
  }
}
