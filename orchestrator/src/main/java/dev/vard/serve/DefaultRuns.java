package dev.vard.serve;

import dev.vard.run.RunStatus;
import dev.vard.serve.RequestException.Code;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecReader;
import dev.vard.store.NewRun;
import dev.vard.store.RunQuery;
import dev.vard.store.RunStore;
import dev.vard.store.StoreException;
import dev.vard.store.StoredRun;
import java.io.IOException;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The use cases, over the store, the queue and the runs' folders. */
final class DefaultRuns implements Runs {
  private static final Logger LOG = LoggerFactory.getLogger(DefaultRuns.class);
  private static final int MAX_FILTER = 1_000;

  private final RunStore store;
  private final Dispatcher dispatcher;
  private final EventFeed feed;
  private final RunFolders folders;
  private final SpecReader reader;
  private final SpecificationReading reading;
  private final ServeSettings settings;
  private final Audit audit;
  private final Samples samples;

  /** Held from the look whether there is room for one more run until it is there. */
  private final ReentrantLock room = new ReentrantLock();

  private final SecureRandom random = new SecureRandom();

  /**
   * @param reader confined to what others may ask for
   * @param reading where it reads
   */
  DefaultRuns(
      RunStore store,
      Dispatcher dispatcher,
      EventFeed feed,
      RunFolders folders,
      SpecReader reader,
      SpecificationReading reading,
      ServeSettings settings,
      Clock clock) {
    this.store = store;
    this.dispatcher = dispatcher;
    this.feed = feed;
    this.folders = folders;
    this.reader = reader;
    this.reading = reading;
    this.settings = settings;
    this.audit = new Audit(store, clock);
    this.samples = new Samples(store);
  }

  // -------------------------------------------------------------------------------------- changes

  @Override
  public RunView create(Caller caller, Creation creation) {
    return audit.audited(
        caller,
        "CreateRun",
        "",
        () -> {
          Wanted.check(creation, settings);
          Wanted wanted = reading.read(() -> Wanted.read(creation, reader, settings));
          RunSpec spec = wanted.spec();
          String requestId = creation.requestId().toLowerCase(Locale.ROOT);
          room.lock();
          try {
            requireRoom(caller, requestId);
            StoredRun run =
                store.create(
                    new NewRun(
                        RunIds.next(spec.name(), random),
                        spec.name(),
                        caller.owner(),
                        requestId,
                        Wanted.digest(creation),
                        wanted.text(),
                        spec.algorithm().iterations(),
                        creation.priority()));
            return changed(run);
          } finally {
            room.unlock();
          }
        });
  }

  @Override
  public RunView cancel(Caller caller, String id) {
    return audit.audited(
        caller, "CancelRun", id, () -> changed(store.cancel(require(caller, id).id())));
  }

  @Override
  public RunView resume(Caller caller, String id) {
    return audit.audited(
        caller,
        "ResumeRun",
        id,
        () -> {
          StoredRun run = require(caller, id);
          room.lock();
          try {
            if (run.status() == RunStatus.CANCELLED || run.status() == RunStatus.FAILED) {
              requireRoom(run.owner());
            }
            return changed(store.resume(run.id()));
          } finally {
            room.unlock();
          }
        });
  }

  private RunView changed(StoredRun run) {
    dispatcher.changed(run);
    return view(run);
  }

  @Override
  public void delete(Caller caller, String id) {
    audit.audited(
        caller,
        "DeleteRun",
        id,
        () -> {
          StoredRun run = require(caller, id);
          try {
            folders.doom(run.id());
          } catch (IOException e) {
            throw unreadable(run.id(), e);
          }
          try {
            store.delete(run.id());
          } catch (StoreException e) {
            // Where it is not known what the database did, the next start looks.
            if (e.kind() != StoreException.Kind.UNAVAILABLE) {
              spare(run.id());
            }
            throw e;
          }
          dispatcher.deleted(run.id());
          folders.delete(run.id());
          return run;
        });
  }

  private void spare(String runId) {
    try {
      folders.spare(runId);
    } catch (IOException e) {
      LOG.warn("Run {} remains marked for deletion until the next start: {}", runId, e.toString());
    }
  }

  // -------------------------------------------------------------------------------------- queries

  @Override
  public RunView get(Caller caller, String id) {
    return audit.answered(caller, "GetRun", id, () -> view(require(caller, id)));
  }

  @Override
  public Page<RunView> list(Caller caller, PageRequest page, String filter) {
    return audit.answered(
        caller,
        "ListRuns",
        "",
        () -> {
          int size = Paging.size(page);
          if (filter.length() > MAX_FILTER) {
            throw invalid(
                "filter",
                "filter has " + filter.length() + " characters; give at most " + MAX_FILTER);
          }
          List<RunQuery.Term> terms = RunFilter.parse(filter);
          Optional<String> owner = caller.admin() ? Optional.empty() : Optional.of(caller.owner());
          List<String> question = List.of("runs", owner.orElse(""), filter);
          Optional<RunQuery.Place> after = place(question, page.token());

          // One more than is given tells whether there is a next page.
          List<StoredRun> runs = store.list(new RunQuery(owner, terms, after, size + 1));
          List<StoredRun> given = runs.subList(0, Math.min(size, runs.size()));
          String next = runs.size() > size ? PageToken.write(question, write(given.getLast())) : "";
          return new Page<>(given.stream().map(this::view).toList(), next);
        });
  }

  private static String write(StoredRun run) {
    return run.createdAt() + " " + run.id();
  }

  private static Optional<RunQuery.Place> place(List<String> question, String token) {
    if (token.isEmpty()) {
      return Optional.empty();
    }
    String[] parts = PageToken.read(question, token).split(" ", 2);
    try {
      return Optional.of(new RunQuery.Place(Instant.parse(parts[0]), parts[1]));
    } catch (DateTimeException | ArrayIndexOutOfBoundsException e) {
      throw new IllegalStateException("a page token that was written wrongly", e);
    }
  }

  @Override
  public Watch watch(Caller caller, String id, long afterSequence) {
    return audit.answered(
        caller,
        "WatchRun",
        id,
        () -> {
          if (afterSequence < 0) {
            throw invalid(
                "after_sequence", "after_sequence is " + afterSequence + "; give 0 or more");
          }
          return feed.watch(require(caller, id), afterSequence);
        });
  }

  @Override
  public Page<SampleView> samples(
      Caller caller, String id, OptionalInt iteration, PageRequest page) {
    return audit.answered(
        caller,
        "ListSamples",
        id,
        () -> {
          if (iteration.isPresent() && iteration.getAsInt() < 0) {
            throw invalid("iteration", "iteration is " + iteration.getAsInt() + "; give 0 or more");
          }
          StoredRun run = require(caller, id);
          List<String> question = List.of("samples", run.id(), iteration.toString());
          try {
            return Paging.part(
                samples.of(run.id(), folders.of(run.id()), iteration),
                page,
                question,
                SampleView::path);
          } catch (IOException e) {
            throw unreadable(run.id(), e);
          }
        });
  }

  @Override
  public Page<ArtifactView> artifacts(Caller caller, String id, PageRequest page) {
    return audit.answered(
        caller,
        "ListArtifacts",
        id,
        () -> {
          StoredRun run = require(caller, id);
          try {
            return Paging.part(
                new RunFiles(folders.of(run.id())).list(),
                page,
                List.of("artifacts", run.id()),
                ArtifactView::path);
          } catch (IOException e) {
            throw unreadable(run.id(), e);
          }
        });
  }

  @Override
  public Content open(Caller caller, String id, String path) {
    return audit.answered(
        caller,
        "DownloadArtifact",
        id,
        () -> {
          StoredRun run = require(caller, id);
          try {
            return new RunFiles(folders.of(run.id()))
                .open(path)
                .orElseThrow(
                    () ->
                        new RequestException(
                            Code.NOT_FOUND,
                            "name",
                            "run " + run.id() + " has no such file; list its artifacts"));
          } catch (IOException e) {
            throw unreadable(run.id(), e);
          }
        });
  }

  // --------------------------------------------------------------------------------------- checks

  private void requireRoom(String owner) {
    if (store.active(owner) >= settings.maxActiveRuns()) {
      throw new RequestException(
          Code.RESOURCE_EXHAUSTED,
          "",
          owner
              + " has "
              + settings.maxActiveRuns()
              + " runs that have not ended, which is the most; cancel one, or wait");
    }
  }

  /** A request that made its run before needs no room: it makes none. */
  private void requireRoom(Caller caller, String requestId) {
    if (requestId.isEmpty() || store.findByRequest(caller.owner(), requestId).isEmpty()) {
      requireRoom(caller.owner());
    }
  }

  private RunView view(StoredRun run) {
    return new RunView(run, run.status() == RunStatus.WAITING ? store.position(run) : 0);
  }

  /** A run that the caller may see. Of others' it does not even learn that they are there. */
  private StoredRun require(Caller caller, String id) {
    Optional<StoredRun> run = RunIds.isOne(id) ? store.find(id) : Optional.empty();
    if (run.isEmpty()) {
      throw missing(id);
    }
    if (!caller.admin() && !run.get().owner().equals(caller.owner())) {
      throw new Audit.Hidden(missing(id));
    }
    return run.get();
  }

  private static RequestException missing(String id) {
    String shown = RunIds.isOne(id) ? " " + id : " of that name";
    return new RequestException(
        Code.NOT_FOUND, "name", "there is no run" + shown + "; see vard list");
  }

  private static RequestException invalid(String field, String message) {
    return new RequestException(Code.INVALID_ARGUMENT, field, message);
  }

  private static RequestException unreadable(String runId, IOException e) {
    LOG.warn("The folder of run {} cannot be used: {}", runId, e.toString());
    return new RequestException(
        Code.UNAVAILABLE,
        "",
        "the files of run " + runId + " cannot be reached; try again once its disk is back",
        e);
  }
}
