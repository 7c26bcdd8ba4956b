package dev.vard.api;

import dev.vard.run.RunEvent;
import dev.vard.run.RunJson;
import dev.vard.run.RunStatus;
import dev.vard.serve.Caller;
import dev.vard.serve.RequestException;
import dev.vard.serve.RequestException.Code;
import dev.vard.serve.Runs;
import dev.vard.store.StoredEvent;
import dev.vard.store.StoredRun;
import java.io.ByteArrayInputStream;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
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
  private final Map<String, Kept> runs = new LinkedHashMap<>();
  private final RunJson json = new RunJson();
  private int made;
  private int watchers;

  private static final class Kept {
    StoredRun run;
    Creation creation;
    final List<StoredEvent> events = new ArrayList<>();
    final Map<String, byte[]> files = new LinkedHashMap<>();
  }

  // ------------------------------------------------------------------------------------- the
  // engine's part

  void tell(String id, RunEvent event) {
    locked(
        () -> {
          Kept kept = runs.get(id);
          long sequence = kept.events.size() + 1L;
          kept.events.add(new StoredEvent(id, sequence, Instant.now(), json.write(event)));
          kept.run = with(kept.run, kept.run.status(), sequence);
          told.signalAll();
          return sequence;
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
    locked(() -> runs.get(id).files.put(path, bytes));
  }

  /** How many watch. */
  int watchers() {
    return locked(() -> watchers);
  }

  // ------------------------------------------------------------------------------------- what
  // callers ask

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
          for (Kept kept : runs.values()) {
            if (!creation.requestId().isEmpty()
                && kept.run.owner().equals(caller.owner())
                && kept.run.requestId().equals(creation.requestId())) {
              if (!kept.creation.equals(creation)) {
                throw new RequestException(
                    Code.ALREADY_EXISTS,
                    "request_id",
                    "request_id: it was used for another request: make a new one");
              }
              return view(kept);
            }
          }
          Kept kept = new Kept();
          String id = "run-" + ++made;
          kept.creation = creation;
          kept.run =
              new StoredRun(
                  id,
                  "run",
                  caller.owner(),
                  creation.requestId(),
                  creation.specification(),
                  RunStatus.WAITING,
                  "",
                  "",
                  Optional.empty(),
                  creation.priority(),
                  made,
                  0,
                  "",
                  false,
                  0,
                  14,
                  0,
                  OptionalDouble.empty(),
                  OptionalDouble.empty(),
                  OptionalDouble.empty(),
                  "",
                  0,
                  Instant.now(),
                  Optional.empty(),
                  Optional.empty());
          runs.put(id, kept);
          tell(id, new RunEvent.StateChanged(Optional.empty(), RunStatus.WAITING, "", ""));
          return view(kept);
        });
  }

  @Override
  public RunView get(Caller caller, String id) {
    return locked(() -> view(find(caller, id)));
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
                    .filter(kept -> caller.admin() || kept.run.owner().equals(caller.owner()))
                    .filter(kept -> only.isEmpty() || kept.run.status() == only.get())
                    .sorted(Comparator.comparingLong((Kept kept) -> kept.run.turn()).reversed())
                    .toList(),
                InMemoryRuns::view));
  }

  @Override
  public RunView cancel(Caller caller, String id) {
    return locked(
        () -> {
          Kept kept = find(caller, id);
          if (kept.run.status() != RunStatus.CANCELLED) {
            move(kept, RunStatus.CANCELLED);
          }
          return view(kept);
        });
  }

  @Override
  public RunView resume(Caller caller, String id) {
    return locked(
        () -> {
          Kept kept = find(caller, id);
          if (kept.run.status() != RunStatus.WAITING && kept.run.status() != RunStatus.RUNNING) {
            move(kept, RunStatus.WAITING);
          }
          return view(kept);
        });
  }

  @Override
  public void delete(Caller caller, String id) {
    locked(
        () -> {
          Kept kept = find(caller, id);
          if (kept.run.status() == RunStatus.RUNNING) {
            throw illegal(id, "runs: cancel it first");
          }
          return runs.remove(id);
        });
  }

  @Override
  public Watch watch(Caller caller, String id, long afterSequence) {
    return locked(
        () -> {
          Kept kept = find(caller, id);
          watchers++;
          return new Cursor(kept, afterSequence);
        });
  }

  @Override
  public Page<SampleView> samples(
      Caller caller, String id, OptionalInt iteration, PageRequest page) {
    return locked(
        () -> {
          List<SampleView> samples = new ArrayList<>();
          for (String path : find(caller, id).files.keySet()) {
            if (path.startsWith("samples/") && path.endsWith(".png")) {
              String[] parts = path.split("[/.]");
              int of = Integer.parseInt(parts[1]);
              if (iteration.isEmpty() || iteration.getAsInt() == of) {
                int index = Integer.parseInt(parts[2]);
                samples.add(new SampleView(path, of, index, "a fox", 7L + index, -1.5 * index));
              }
            }
          }
          return page(page, samples, Function.identity());
        });
  }

  @Override
  public Page<ArtifactView> artifacts(Caller caller, String id, PageRequest page) {
    return locked(
        () -> {
          Kept kept = find(caller, id);
          return page(page, List.copyOf(kept.files.keySet()), path -> artifact(kept, path));
        });
  }

  @Override
  public Content open(Caller caller, String id, String path) {
    return locked(
        () -> {
          Kept kept = find(caller, id);
          if (!kept.files.containsKey(path)) {
            throw new RequestException(
                Code.NOT_FOUND, "name", "run %s has no file of this name".formatted(id));
          }
          return new Content(artifact(kept, path), new ByteArrayInputStream(kept.files.get(path)));
        });
  }

  // ------------------------------------------------------------------------------------- inside

  /** Reads by cursor, as the real one does. */
  private final class Cursor implements Watch {
    private final Kept kept;
    private long after;
    private boolean closed;

    Cursor(Kept kept, long after) {
      this.kept = kept;
      this.after = after;
    }

    @Override
    public Optional<StoredEvent> next(Duration patience) throws InterruptedException {
      lock.lock();
      try {
        long nanos = patience.toNanos();
        while (!closed && after >= kept.events.size() && !kept.run.status().ended() && nanos > 0) {
          nanos = told.awaitNanos(nanos);
        }
        if (closed || after >= kept.events.size()) {
          return Optional.empty();
        }
        return Optional.of(kept.events.get((int) after++));
      } finally {
        lock.unlock();
      }
    }

    @Override
    public boolean ended() {
      return locked(() -> kept.run.status().ended() && after >= kept.events.size());
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

  private Kept find(Caller caller, String id) {
    Kept kept = runs.get(id);
    if (kept == null || !(caller.admin() || kept.run.owner().equals(caller.owner()))) {
      throw new RequestException(Code.NOT_FOUND, "name", "there is no run " + id);
    }
    return kept;
  }

  private void move(Kept kept, RunStatus to) {
    RunStatus from = kept.run.status();
    if (!from.next().contains(to)) {
      throw illegal(kept.run.id(), "is " + from);
    }
    kept.run = with(kept.run, to, kept.run.lastSequence());
    tell(kept.run.id(), new RunEvent.StateChanged(Optional.of(from), to, "", ""));
  }

  private static RequestException illegal(String id, String why) {
    return new RequestException(Code.FAILED_PRECONDITION, "", "run %s %s".formatted(id, why));
  }

  private static RunView view(Kept kept) {
    return new RunView(kept.run, 0);
  }

  private static ArtifactView artifact(Kept kept, String path) {
    return new ArtifactView(
        path,
        kept.files.get(path).length,
        path.endsWith(".png") ? "image/png" : "application/octet-stream",
        kept.run.createdAt());
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

  private static StoredRun with(StoredRun run, RunStatus status, long lastSequence) {
    return new StoredRun(
        run.id(),
        run.name(),
        run.owner(),
        run.requestId(),
        run.specification(),
        status,
        run.reasonCode(),
        run.reason(),
        run.retryAt(),
        run.priority(),
        run.turn(),
        run.generation(),
        run.orchestrator(),
        run.cancelRequested(),
        run.iteration(),
        run.iterations(),
        run.rewardQueries(),
        run.rewardBefore(),
        run.rewardNow(),
        run.klPerTrajectory(),
        run.exportSha256(),
        lastSequence,
        run.createdAt(),
        run.startedAt(),
        run.endedAt());
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
