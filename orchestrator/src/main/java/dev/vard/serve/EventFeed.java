package dev.vard.serve;

import dev.vard.serve.RequestException.Code;
import dev.vard.serve.Runs.Watch;
import dev.vard.store.RunStore;
import dev.vard.store.StoreException;
import dev.vard.store.StoredEvent;
import dev.vard.store.StoredRun;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Events of runs, for any number of watchers.
 *
 * <p>Truth is in the database: a watcher is a sequence number and no more, so one that comes back
 * goes on where it was, on this orchestrator or another. What makes that cheap:
 *
 * <ul>
 *   <li>Events never change, and their numbers have no gaps. So they are read in pages that all
 *       watchers of a run share, and pages of all runs share one bounded memory.
 *   <li>Of each watched run one thread asks how far it is: at once when this process wrote
 *       something, else each {@code interval}, for another orchestrator may own it.
 * </ul>
 */
final class EventFeed implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(EventFeed.class);

  /** Events of a page. An event has some kilobytes where evaluations are large. */
  private static final int PAGE = 32;

  /** Characters of JSON in memory: a watcher that fell far behind costs a query, not the heap. */
  private static final long MEMORY = 16 << 20;

  private static final int MOST_PAGES = 8192;

  private final RunStore store;
  private final Duration interval;
  private final Map<String, Topic> topics = new ConcurrentHashMap<>();
  private final Pages pages = new Pages();
  private final LinkedBlockingQueue<String> changed = new LinkedBlockingQueue<>();
  private final Thread looker;

  /**
   * @param interval from one look to the next at runs that another orchestrator may write
   */
  EventFeed(RunStore store, Duration interval) {
    this.store = store;
    this.interval = interval;
    this.looker = Thread.ofPlatform().name("vard-events").daemon().start(this::look);
  }

  /** Something was written about a run. Cheap: the writer does not wait for its watchers. */
  void changed(String runId) {
    Topic topic = topics.get(runId);
    if (topic != null && topic.noted.compareAndSet(false, true)) {
      changed.add(runId);
    }
  }

  /**
   * @param run as it stands
   */
  Watch watch(StoredRun run, long afterSequence) {
    Topic topic =
        topics.compute(
            run.id(),
            (id, known) -> {
              Topic open = known == null ? new Topic(id) : known;
              open.watchers++;
              return open;
            });
    topic.advance(Standing.of(run));
    return new Cursor(topic, afterSequence);
  }

  /** Runs that somebody watches. */
  int watched() {
    return topics.size();
  }

  @Override
  public void close() {
    looker.interrupt();
    topics.values().forEach(Topic::wake);
  }

  private void look() {
    long next = System.nanoTime() + interval.toNanos();
    while (!Thread.currentThread().isInterrupted()) {
      try {
        String runId = changed.poll(next - System.nanoTime(), TimeUnit.NANOSECONDS);
        if (runId != null) {
          look(runId);
        } else {
          next = System.nanoTime() + interval.toNanos();
          List.copyOf(topics.keySet()).forEach(this::look);
        }
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  /** Where the run is: one query, whoever many watch. */
  private void look(String runId) {
    Topic topic = topics.get(runId);
    if (topic == null) {
      return;
    }
    // Before the query: what is written during it is looked for once more.
    topic.noted.set(false);
    try {
      topic.advance(store.find(runId).map(Standing::of).orElse(Standing.GONE));
    } catch (StoreException e) {
      // Watchers wait, as they would for a run that does nothing: the next look tells more.
      LOG.debug("The events of {} cannot be looked for: {}", runId, e.getMessage());
    } catch (RuntimeException e) {
      LOG.warn("The events of {} cannot be looked for", runId, e);
    }
  }

  /**
   * How far a run is.
   *
   * @param last number of its last event
   * @param ended nothing more happens unless somebody resumes it
   * @param gone it was deleted
   */
  private record Standing(long last, boolean ended, boolean gone) {
    static final Standing GONE = new Standing(0, true, true);

    static Standing of(StoredRun run) {
      return new Standing(run.lastSequence(), run.status().ended(), false);
    }
  }

  /** A run that is watched. */
  private final class Topic {
    final String runId;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition moved = lock.newCondition();
    private volatile Standing standing = new Standing(0, false, false);

    /** It waits to be looked at. */
    final AtomicBoolean noted = new AtomicBoolean();

    /** Under the map's lock. */
    int watchers;

    Topic(String runId) {
      this.runId = runId;
    }

    /** Never backwards: what was read first may come last. */
    void advance(Standing now) {
      lock.lock();
      try {
        if (now.gone() || now.last() >= standing.last()) {
          standing = now;
          moved.signalAll();
        }
      } finally {
        lock.unlock();
      }
    }

    void wake() {
      lock.lock();
      try {
        moved.signalAll();
      } finally {
        lock.unlock();
      }
    }

    /** Waits for more than {@code place}, for the end, or until somebody wakes it. */
    void await(long place, long nanos) throws InterruptedException {
      lock.lockInterruptibly();
      try {
        if (standing.last() <= place && !standing.ended()) {
          moved.awaitNanos(nanos);
        }
      } finally {
        lock.unlock();
      }
    }
  }

  private final class Cursor implements Watch {
    private final Topic topic;
    private long place;
    private volatile boolean closed;

    Cursor(Topic topic, long place) {
      this.topic = topic;
      this.place = place;
    }

    @Override
    public Optional<StoredEvent> next(Duration patience) throws InterruptedException {
      long end = System.nanoTime() + patience.toNanos();
      while (!closed) {
        if (!looker.isAlive()) {
          throw new RequestException(
              Code.UNAVAILABLE, "", "the server stops; watch again from the last event");
        }
        Standing standing = topic.standing;
        if (standing.gone()) {
          return Optional.empty();
        }
        if (place < standing.last()) {
          try {
            StoredEvent event = pages.event(topic.runId, place + 1);
            place = event.sequence();
            return Optional.of(event);
          } catch (StoreException e) {
            throw Failures.of(e);
          }
        }
        long left = end - System.nanoTime();
        if (left <= 0 || standing.ended()) {
          return Optional.empty();
        }
        topic.await(place, left);
      }
      return Optional.empty();
    }

    @Override
    public boolean ended() {
      Standing standing = topic.standing;
      return standing.gone() || standing.ended() && place >= standing.last();
    }

    @Override
    public void close() {
      synchronized (this) {
        if (closed) {
          return;
        }
        closed = true;
      }
      topic.wake();
      topics.computeIfPresent(topic.runId, (id, open) -> --open.watchers == 0 ? null : open);
    }
  }

  /** Pages of events, those last used, up to a size. */
  private final class Pages {

    /**
     * @param number the page holds the events from {@code number * PAGE + 1} on
     */
    private record Key(String runId, long number) {}

    /** Of one page at a time one watcher reads; the others wait for what it brings. */
    private final class Page {
      private final ReentrantLock reading = new ReentrantLock();
      private volatile List<StoredEvent> events = List.of();
      private long size;
    }

    private final Map<Key, Page> pages = new LinkedHashMap<>(16, 0.75f, true);
    private final ReentrantLock lock = new ReentrantLock();
    private long size;

    /** An event that is there. */
    StoredEvent event(String runId, long sequence) throws InterruptedException {
      Key key = new Key(runId, (sequence - 1) / PAGE);
      int index = Math.toIntExact((sequence - 1) % PAGE);
      Page page = page(key);
      if (index >= page.events.size()) {
        page.reading.lockInterruptibly();
        try {
          if (index >= page.events.size()) {
            read(key, page);
          }
        } finally {
          page.reading.unlock();
        }
      }
      if (index >= page.events.size()) {
        throw new StoreException(
            StoreException.Kind.NOT_FOUND, "event " + sequence + " of run " + runId + " is gone");
      }
      return page.events.get(index);
    }

    private Page page(Key key) {
      lock.lock();
      try {
        return pages.computeIfAbsent(key, k -> new Page());
      } finally {
        lock.unlock();
      }
    }

    /** Reads what the page does not have yet: of the newest one, often a single event. */
    private void read(Key key, Page page) {
      List<StoredEvent> events = new ArrayList<>(page.events);
      events.addAll(
          store.events(key.runId(), key.number() * PAGE + events.size(), PAGE - events.size()));
      page.events = List.copyOf(events);
      long now = events.stream().mapToLong(event -> event.json().length()).sum();
      lock.lock();
      try {
        // Unless the page was dropped meanwhile: then it is forgotten with its last reader.
        if (pages.get(key) == page) {
          size += now - page.size;
          page.size = now;
          var oldest = pages.entrySet().iterator();
          while ((size > MEMORY || pages.size() > MOST_PAGES) && pages.size() > 1) {
            size -= oldest.next().getValue().size;
            oldest.remove();
          }
        }
      } finally {
        lock.unlock();
      }
    }
  }
}
