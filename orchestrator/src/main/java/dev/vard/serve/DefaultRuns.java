package dev.vard.serve;

import dev.vard.run.RunStatus;
import dev.vard.serve.RequestException.Code;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecException;
import dev.vard.spec.SpecProblem;
import dev.vard.spec.SpecReader;
import dev.vard.spec.SpecWriter;
import dev.vard.store.NewRun;
import dev.vard.store.RunQuery;
import dev.vard.store.RunStore;
import dev.vard.store.RunStore.AuditEntry;
import dev.vard.store.StoreException;
import dev.vard.store.StoredRun;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The use cases, over the store, the queue and the runs' folders. */
final class DefaultRuns implements Runs {
  private static final Logger LOG = LoggerFactory.getLogger(DefaultRuns.class);
  private static final int DEFAULT_PAGE = 50;
  private static final int MAX_PAGE = 1_000;
  private static final int MAX_FILTER = 1_000;
  private static final int MAX_OVERRIDES = 100;
  private static final int MAX_PRIORITY = 100;

  /** An error has to fit into the headers of an answer. */
  private static final int MAX_PROBLEMS = 10;

  private static final int MAX_PROBLEM_CHARACTERS = 300;

  private static final Pattern UUID =
      Pattern.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}");

  private final RunStore store;
  private final Dispatcher dispatcher;
  private final EventFeed feed;
  private final RunFolders folders;
  private final SpecReader reader;
  private final SpecificationReading reading;
  private final ServeSettings settings;
  private final Clock clock;
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
    this.clock = clock;
    this.samples = new Samples(store);
  }

  // -------------------------------------------------------------------------------------- changes

  @Override
  public RunView create(Caller caller, Creation creation) {
    return audited(
        caller,
        "CreateRun",
        "",
        () -> {
          check(creation);
          Wanted wanted = reading.read(() -> read(creation));
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
                        digest(creation),
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
    return audited(caller, "CancelRun", id, () -> changed(store.cancel(require(caller, id).id())));
  }

  @Override
  public RunView resume(Caller caller, String id) {
    return audited(
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
    audited(
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
    return answered(caller, "GetRun", id, () -> view(require(caller, id)));
  }

  @Override
  public Page<RunView> list(Caller caller, PageRequest page, String filter) {
    return answered(
        caller,
        "ListRuns",
        "",
        () -> {
          int size = size(page);
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
    return answered(
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
    return answered(
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
            return part(
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
    return answered(
        caller,
        "ListArtifacts",
        id,
        () -> {
          StoredRun run = require(caller, id);
          try {
            return part(
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
    return answered(
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

  /**
   * A page of a list that is ordered by a key of its items. What came into the list, or went, since
   * the page before does not move the others.
   */
  private static <T> Page<T> part(
      List<T> items, PageRequest page, List<String> question, Function<T, String> key) {
    int size = size(page);
    int first = 0;
    if (!page.token().isEmpty()) {
      String last = PageToken.read(question, page.token());
      while (first < items.size() && key.apply(items.get(first)).compareTo(last) <= 0) {
        first++;
      }
    }
    List<T> part = items.subList(first, Math.min(items.size(), first + size));
    boolean more = first + size < items.size();
    return new Page<>(
        List.copyOf(part), more ? PageToken.write(question, key.apply(part.getLast())) : "");
  }

  // --------------------------------------------------------------------------------------- checks

  private void check(Creation creation) {
    if (creation.specification().isBlank()) {
      throw invalid("specification", "specification is missing; give one in YAML");
    }
    if (creation.overrides().size() > MAX_OVERRIDES) {
      throw invalid(
          "overrides",
          "there are " + creation.overrides().size() + " overrides; give at most " + MAX_OVERRIDES);
    }
    long bytes = bytes(creation.specification());
    for (String override : creation.overrides()) {
      bytes += bytes(override);
    }
    if (bytes > settings.maxSpecificationBytes()) {
      throw invalid(
          "specification",
          "specification and overrides have "
              + bytes
              + " bytes; give at most "
              + settings.maxSpecificationBytes());
    }
    if (Math.abs((long) creation.priority()) > MAX_PRIORITY) {
      throw invalid(
          "priority",
          "priority is "
              + creation.priority()
              + "; give a whole number from "
              + -MAX_PRIORITY
              + " to "
              + MAX_PRIORITY);
    }
    if (!creation.requestId().isEmpty() && !UUID.matcher(creation.requestId()).matches()) {
      throw invalid(
          "request_id",
          "request_id is no UUID; give one as 123e4567-e89b-42d3-a456-426614174000, or none");
    }
  }

  private static int bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8).length;
  }

  /** What was asked for, with every default as text. */
  private record Wanted(RunSpec spec, String text) {}

  private Wanted read(Creation creation) {
    try {
      RunSpec spec =
          reader.read(creation.specification(), "specification", Path.of(""), creation.overrides());
      RunCost.of(spec).require(settings);
      return new Wanted(spec, SpecWriter.write(spec));
    } catch (SpecException e) {
      StringBuilder text = new StringBuilder();
      for (SpecProblem problem :
          e.problems().subList(0, Math.min(MAX_PROBLEMS, e.problems().size()))) {
        String line = problem.toString();
        text.append(text.isEmpty() ? "" : "\n")
            .append(line, 0, Math.min(line.length(), MAX_PROBLEM_CHARACTERS));
      }
      if (e.problems().size() > MAX_PROBLEMS) {
        text.append("\nand ").append(e.problems().size() - MAX_PROBLEMS).append(" more");
      }
      throw new RequestException(Code.INVALID_ARGUMENT, "specification", text.toString(), e);
    }
  }

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

  private static String digest(Creation creation) {
    MessageDigest digest = Digests.sha256();
    Digests.update(digest, creation.specification());
    Digests.update(digest, Integer.toString(creation.priority()));
    creation.overrides().forEach(override -> Digests.update(digest, override));
    return HexFormat.of().formatHex(digest.digest());
  }

  private static int size(PageRequest page) {
    if (page.size() < 0 || page.size() > MAX_PAGE) {
      throw invalid(
          "page_size",
          "page_size is " + page.size() + "; give at most " + MAX_PAGE + ", or 0 for the default");
    }
    return page.size() == 0 ? DEFAULT_PAGE : page.size();
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
      throw new Hidden(missing(id));
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

  /** Somebody else's run. The caller gets what stands in it; the audit log gets the truth. */
  private static final class Hidden extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final RequestException shown;

    Hidden(RequestException shown) {
      super(shown.getMessage(), shown, false, false);
      this.shown = shown;
    }
  }

  // ---------------------------------------------------------------------------------------- audit

  /** Does what changes something; who asked for it is written down, whatever comes of it. */
  private <T> T audited(Caller caller, String action, String target, Supplier<T> change) {
    String outcome = "INTERNAL";
    String subject = target;
    try {
      T result = change.get();
      outcome = "OK";
      if (result instanceof RunView made) {
        subject = made.run().id();
      }
      return result;
    } catch (StoreException e) {
      RequestException failure = Failures.of(e);
      outcome = failure.code().name();
      throw failure;
    } catch (Hidden e) {
      outcome = Code.PERMISSION_DENIED.name();
      throw e.shown;
    } catch (RequestException e) {
      outcome = e.code().name();
      throw e;
    } finally {
      write(caller, action, subject, outcome);
    }
  }

  /** Answers what changes nothing; only who was refused is written down. */
  private <T> T answered(Caller caller, String action, String target, Supplier<T> query) {
    try {
      return query.get();
    } catch (StoreException e) {
      throw Failures.of(e);
    } catch (Hidden e) {
      write(caller, action, target, Code.PERMISSION_DENIED.name());
      throw e.shown;
    }
  }

  /** What was done is done: where the database cannot tell of it, the log does. */
  private void write(Caller caller, String action, String target, String outcome) {
    String subject = target.isEmpty() || RunIds.isOne(target) ? target : "(no run's name)";
    AuditEntry entry =
        new AuditEntry(clock.instant(), caller.owner(), caller.peer(), action, subject, outcome);
    try {
      store.audit(entry);
    } catch (StoreException e) {
      LOG.warn("Not in the audit log, because the database is away: {}", entry);
    }
  }
}
