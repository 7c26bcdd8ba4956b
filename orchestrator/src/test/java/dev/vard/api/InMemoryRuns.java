package dev.vard.api;

import dev.vard.run.RunEvent;
import dev.vard.run.RunStatus;
import dev.vard.serve.Caller;
import dev.vard.serve.RequestException;
import dev.vard.serve.RequestException.Code;
import dev.vard.serve.Runs;
import dev.vard.store.StoredEvent;
import java.io.ByteArrayInputStream;
import java.time.Duration;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.UUID;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Runs that nobody runs: keeps what {@link Runs} promises, in memory, and lets a test play the
 * engine.
 */
final class InMemoryRuns implements Runs {
  private static final int DEFAULT_PAGE = 50;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition told = lock.newCondition();
  private final Map<String, InMemoryRun> runs = new LinkedHashMap<>();
  private int made;
  private int watchers;

  void tell(String id, RunEvent event) {
    locked(
        () -> {
          runs.get(id).tell(event);
          told.signalAll();
          return id;
        });
  }

  void move(String id, RunStatus to) {
    locked(
        () -> {
          move(runs.get(id), to);
          return to;
        });
  }

  void file(String id, String path, byte[] bytes) {
    locked(() -> runs.get(id).files().put(path, bytes));
  }

  /** How many watch. */
  int watchers() {
    return locked(() -> watchers);
  }

  @Override
  public RunView create(Caller caller, Creation creation) {
    require(!creation.specification().isBlank(), "specification", "specification: it is empty");
    require(
        Math.abs((long) creation.priority()) <= 100,
        "priority",
        "priority: %d is not within -100 and 100".formatted(creation.priority()));
    if (!creation.requestId().isEmpty()) {
      try {
        UUID.fromString(creation.requestId());
      } catch (IllegalArgumentException e) {
        throw new RequestException(
            Code.INVALID_ARGUMENT, "request_id", "request_id: this is no UUID", e);
      }
    }
    return locked(
        () -> {
          if (!creation.requestId().isEmpty()) {
            for (InMemoryRun run : runs.values()) {
              if (run.madeBy(caller, creation.requestId())) {
                if (!run.creation().equals(creation)) {
                  throw new RequestException(
                      Code.ALREADY_EXISTS,
                      "request_id",
                      "request_id: it was used for another request: make a new one");
                }
                return run.view();
              }
            }
          }
          InMemoryRun run = new InMemoryRun(++made, caller.owner(), creation);
          runs.put(run.id(), run);
          return run.view();
        });
  }

  @Override
  public RunView get(Caller caller, String id) {
    return locked(() -> find(caller, id).view());
  }

  @Override
  public Page<RunView> list(Caller caller, PageRequest page, String filter) {
    Optional<RunStatus> only =
        filter.isBlank() ? Optional.empty() : Optional.of(statusOf(filter.strip()));
    return locked(
        () ->
            page(
                page,
                runs.values().stream()
                    .filter(run -> run.visibleTo(caller))
                    .filter(run -> only.isEmpty() || run.status() == only.get())
                    .sorted(Comparator.comparingLong((InMemoryRun run) -> run.turn()).reversed())
                    .toList(),
                InMemoryRun::view));
  }

  @Override
  public RunView cancel(Caller caller, String id) {
    return locked(
        () -> {
          InMemoryRun run = find(caller, id);
          if (run.status() != RunStatus.CANCELLED) {
            move(run, RunStatus.CANCELLED);
          }
          return run.view();
        });
  }

  @Override
  public RunView resume(Caller caller, String id) {
    return locked(
        () -> {
          InMemoryRun run = find(caller, id);
          if (run.status() != RunStatus.WAITING && run.status() != RunStatus.RUNNING) {
            move(run, RunStatus.WAITING);
          }
          return run.view();
        });
  }

  @Override
  public void delete(Caller caller, String id) {
    locked(
        () -> {
          InMemoryRun run = find(caller, id);
          if (run.status() == RunStatus.RUNNING) {
            throw run.illegal("runs: cancel it first");
          }
          return runs.remove(id);
        });
  }

  @Override
  public Watch watch(Caller caller, String id, long afterSequence) {
    return locked(
        () -> {
          InMemoryRun run = find(caller, id);
          watchers++;
          return new Cursor(run, afterSequence);
        });
  }

  @Override
  public Page<SampleView> samples(
      Caller caller, String id, OptionalInt iteration, PageRequest page) {
    return locked(() -> page(page, find(caller, id).samples(iteration), Function.identity()));
  }

  @Override
  public Page<ArtifactView> artifacts(Caller caller, String id, PageRequest page) {
    return locked(
        () -> {
          InMemoryRun run = find(caller, id);
          return page(page, List.copyOf(run.files().keySet()), path -> run.artifact(path));
        });
  }

  @Override
  public Content open(Caller caller, String id, String path) {
    return locked(
        () -> {
          InMemoryRun run = find(caller, id);
          if (!run.files().containsKey(path)) {
            throw new RequestException(
                Code.NOT_FOUND, "name", "run %s has no file of this name".formatted(id));
          }
          return new Content(run.artifact(path), new ByteArrayInputStream(run.files().get(path)));
        });
  }

  /** Reads by cursor, as the real one does. */
  private final class Cursor implements Watch {
    private final InMemoryRun run;
    private long after;
    private boolean closed;

    Cursor(InMemoryRun run, long after) {
      this.run = run;
      this.after = after;
    }

    @Override
    public Optional<StoredEvent> next(Duration patience) throws InterruptedException {
      lock.lock();
      try {
        long nanos = patience.toNanos();
        while (!closed && after >= run.events().size() && !run.status().ended() && nanos > 0) {
          nanos = told.awaitNanos(nanos);
        }
        if (closed || after >= run.events().size()) {
          return Optional.empty();
        }
        return Optional.of(run.events().get((int) after++));
      } finally {
        lock.unlock();
      }
    }

    @Override
    public boolean ended() {
      return locked(() -> run.status().ended() && after >= run.events().size());
    }

    @Override
    public void close() {
      locked(
          () -> {
            if (!closed) {
              closed = true;
              watchers--;
              told.signalAll();
            }
            return closed;
          });
    }
  }

  private InMemoryRun find(Caller caller, String id) {
    InMemoryRun run = runs.get(id);
    if (run == null || !run.visibleTo(caller)) {
      throw new RequestException(Code.NOT_FOUND, "name", "there is no run " + id);
    }
    return run;
  }

  private void move(InMemoryRun run, RunStatus to) {
    run.move(to);
    told.signalAll();
  }

  private static RunStatus statusOf(String filter) {
    try {
      if (filter.startsWith("state = ")) {
        return RunStatus.valueOf(filter.substring("state = ".length()));
      }
    } catch (IllegalArgumentException e) {
      // Told below.
    }
    throw new RequestException(
        Code.INVALID_ARGUMENT, "filter", "filter: write it as `state = RUNNING`");
  }

  /** Tokens are places in the list. */
  private static <S, T> Page<T> page(PageRequest page, List<S> all, Function<S, T> view) {
    int from = 0;
    if (!page.token().isEmpty()) {
      try {
        from = Integer.parseInt(page.token());
      } catch (NumberFormatException e) {
        from = -1;
      }
      require(from > 0, "page_token", "page_token: it is none of ours");
    }
    int size = page.size() == 0 ? DEFAULT_PAGE : page.size();
    from = Math.min(from, all.size());
    int to = (int) Math.min((long) from + size, all.size());
    return new Page<>(
        all.subList(from, to).stream().map(view).toList(),
        to < all.size() ? Integer.toString(to) : "");
  }

  private static void require(boolean holds, String field, String message) {
    if (!holds) {
      throw new RequestException(Code.INVALID_ARGUMENT, field, message);
    }
  }

  private <T> T locked(Supplier<T> step) {
    lock.lock();
    try {
      return step.get();
    } finally {
      lock.unlock();
    }
  }
}
