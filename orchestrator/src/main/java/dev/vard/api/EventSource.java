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
  private final Optional<Fillers<T>> fillers;
  private boolean opened;
  private long last = System.nanoTime();

  EventSource(Watch watch, Function<StoredEvent, T> message, Optional<Fillers<T>> fillers) {
    this.watch = watch;
    this.message = message;
    this.fillers = fillers;
  }

  /**
   * What is sent beside the events.
   *
   * @param opening first, so that the reader sees at once that it was let in
   * @param keepAlive where nothing else was sent for so long, so that proxies do not end the stream
   */
  record Fillers<T>(T opening, Duration idle, T keepAlive) {}

  @Override
  public Optional<T> next() throws InterruptedException {
    Optional<T> next = Optional.empty();
    if (!opened) {
      opened = true;
      next = fillers.map(Fillers::opening);
    }
    if (next.isEmpty()) {
      next = watch.next(SLICE).map(message);
    }
    if (next.isEmpty() && !watch.ended()) {
      next =
          fillers.filter(f -> System.nanoTime() - last >= f.idle.toNanos()).map(Fillers::keepAlive);
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
