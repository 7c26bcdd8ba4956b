package dev.vard.api;

import dev.vard.serve.Runs.Watch;
import dev.vard.store.StoredEvent;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Function;

/** A run's events, each as a message of one of the APIs. */
final class EventSource<T> implements StreamTask.Source<T> {
  private static final Duration SLICE = Duration.ofSeconds(1);

  private final Watch watch;
  private final Function<StoredEvent, T> message;
  private final Optional<KeepAlive<T>> keepAlive;
  private long last = System.nanoTime();

  EventSource(Watch watch, Function<StoredEvent, T> message, Optional<KeepAlive<T>> keepAlive) {
    this.watch = watch;
    this.message = message;
    this.keepAlive = keepAlive;
  }

  /** What is sent where nothing happens for some time, so that proxies do not end the stream. */
  record KeepAlive<T>(Duration after, T message) {}

  @Override
  public Optional<T> next() throws InterruptedException {
    Optional<T> next = watch.next(SLICE).map(message);
    if (next.isEmpty() && !watch.ended()) {
      next =
          keepAlive
              .filter(k -> System.nanoTime() - last >= k.after.toNanos())
              .map(KeepAlive::message);
    }
    if (next.isPresent()) {
      last = System.nanoTime();
    }
    return next;
  }

  @Override
  public boolean ended() {
    return watch.ended();
  }

  @Override
  public void close() {
    watch.close();
  }
}
