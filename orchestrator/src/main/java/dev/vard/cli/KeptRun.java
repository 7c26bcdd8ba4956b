package dev.vard.cli;

import dev.vard.files.FileTrouble;
import dev.vard.files.PrivateFiles;
import dev.vard.reward.kind.RewardEnvironment;
import dev.vard.reward.kind.RewardKinds;
import dev.vard.run.Backoff;
import dev.vard.run.FineTuning;
import dev.vard.run.KeptSpec;
import dev.vard.run.RunEnd;
import dev.vard.run.RunEvent;
import dev.vard.run.RunException;
import dev.vard.run.RunFolder;
import dev.vard.run.RunListener;
import dev.vard.run.RunStatus;
import dev.vard.run.SupervisedRun;
import dev.vard.run.WorkerSource;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecException;
import dev.vard.spec.SpecReader;
import dev.vard.store.Database;
import dev.vard.store.LockHolder;
import dev.vard.store.NewRun;
import dev.vard.store.OpenStore;
import dev.vard.store.RunStore;
import dev.vard.store.StoreException;
import dev.vard.store.StoredRun;
import dev.vard.worker.WorkerClient;
import dev.vard.worker.WorkerLocation;
import dev.vard.worker.WorkerSecurity;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A run of this process alone, kept in a database in its own folder: if the process is killed,
 * another one goes on with it.
 */
final class KeptRun implements AutoCloseable {
  private static final String DATABASE = "run";
  private static final String OWNER = "local";
  private static final Duration FIRST_WAIT = Duration.ofMillis(200);
  private static final Duration LONGEST_WAIT = Duration.ofMinutes(5);

  private static final Duration LONGEST_DATABASE_WAIT = Duration.ofSeconds(5);
  private static final Logger LOG = LoggerFactory.getLogger(KeptRun.class);

  private final OpenStore database;
  private final RunFolder folder;
  private final RunSpec spec;
  private final WorkerSecurity security;

  private KeptRun(OpenStore database, RunFolder folder, RunSpec spec, WorkerSecurity security) {
    this.database = database;
    this.folder = folder;
    this.spec = spec;
    this.security = security;
  }

  /** Whether a run was kept in this folder. */
  static boolean isIn(Path root) {
    return Files.exists(root.resolve(DATABASE + ".mv.db"));
  }

  /** A new run. */
  static KeptRun begin(RunFolder folder, RunSpec spec, WorkerSecurity security) {
    OpenStore database = open(folder.root());
    database
        .store()
        .create(
            new NewRun(
                folder.runId(),
                spec.name(),
                OWNER,
                "",
                "",
                KeptSpec.text(spec),
                spec.algorithm().iterations(),
                0));
    return new KeptRun(database, folder, spec, security);
  }

  /**
   * The run of a folder, to go on with.
   *
   * @param worker another worker than the specification's
   * @param discardEdits whether to go on though the specification's files were edited since
   * @throws SpecException if they were, with what was edited
   * @throws StoreException UNAVAILABLE, if another process has the run
   */
  static KeptRun resume(
      Path root,
      SpecReader reader,
      Optional<String> worker,
      boolean discardEdits,
      WorkerSecurity security) {
    OpenStore database = open(root);
    try {
      String id = database.store().queue(EnumSet.allOf(RunStatus.class)).getFirst().id();
      StoredRun run = database.store().find(id).orElseThrow();
      KeptSpec kept = KeptSpec.of(root, run.specification());
      if (discardEdits) {
        kept.discardEdits();
      } else {
        kept.requireUnedited();
      }
      RunSpec spec =
          reader.read(
              run.specification(),
              root.resolve("spec.resolved.yaml").toString(),
              root,
              worker.map(road -> List.of("worker=" + road)).orElse(List.of()));
      if (run.status() != RunStatus.DONE) {
        database.store().resume(run.id());
      }
      return new KeptRun(database, RunFolder.of(root, run.id()), spec, security);
    } catch (RuntimeException e) {
      database.close();
      throw e;
    }
  }

  private static OpenStore open(Path root) {
    try {
      // H2 makes its file as the umask says, and takes an empty one for a new one.
      PrivateFiles.create(root.resolve(DATABASE + ".mv.db"));
    } catch (IOException e) {
      throw RunException.storage(
          "the run's folder " + root + " cannot be written: " + FileTrouble.reason(e), e);
    }
    try {
      return OpenStore.open(Database.file(root.resolve(DATABASE)).properties());
    } catch (StoreException e) {
      throw Database.heldByAnother(e) ? held(root, e) : e;
    }
  }

  private static StoreException held(Path root, StoreException e) {
    String who =
        LockHolder.of(root.resolve(DATABASE + ".mv.db"))
            .map(pid -> "another vard, process " + pid + ", has")
            .orElse("another vard has");
    return new StoreException(
        e.kind(), "%s the run in %s: wait for its end, or stop it first".formatted(who, root), e);
  }

  /** Whether there is nothing more to do. */
  boolean done() {
    return database.store().find(folder.runId()).orElseThrow().status() == RunStatus.DONE;
  }

  RunFolder folder() {
    return folder;
  }

  RunSpec spec() {
    return spec;
  }

  /**
   * Runs until it ends, or somebody has to look. What time mends is waited for.
   *
   * @throws InterruptedException if it was told to stop while it waited
   */
  RunEnd run(RunListener... listeners) throws InterruptedException {
    Backoff backoff = new Backoff(FIRST_WAIT, LONGEST_WAIT, new Random());
    try (OwnWorker worker = new OwnWorker()) {
      while (true) {
        RunStore.Claim claim =
            patiently(() -> database.store().claim(folder.runId(), OWNER))
                .orElseThrow(() -> new IllegalStateException("nobody else can have this run"));
        Clock clock = Clock.systemUTC();
        RunEnd end =
            new SupervisedRun(
                    spec,
                    () ->
                        new RewardKinds(RewardEnvironment.of(folder.rewardLog()))
                            .open(spec.reward()),
                    folder,
                    claim.journal(),
                    worker,
                    backoff,
                    clock,
                    listeners)
                .run();
        // A worker that was never there is most likely a mistake: somebody is waiting to hear of
        // it. A full disk is none, and neither is a run that a newer program went on with.
        boolean neverBegan =
            end.status() == RunStatus.PAUSED
                && !end.code().equals(RunException.STORAGE)
                && !end.code().equals(RunException.NEWER_STATE)
                && claim.journal().state().map(state -> state.step() == 0).orElse(true);
        RunEnd told =
            neverBegan
                ? new RunEnd(
                    RunStatus.FAILED, end.code(), end.reason(), Optional.empty(), Optional.empty())
                : end;
        patiently(() -> database.store().release(claim, told));
        conclude(claim);
        if (told.retryAt().isEmpty()) {
          return told;
        }
        RunEvent paused =
            new RunEvent.StateChanged(
                Optional.of(RunStatus.RUNNING), RunStatus.PAUSED, told.code(), told.reason());
        for (RunListener listener : listeners) {
          listener.onEvent(paused);
        }
        Thread.sleep(Duration.between(Instant.now(clock), told.retryAt().get()).plusMillis(1));
      }
    }
  }

  /** The database lies on the run's disk: when that is full, it is so for a while. */
  private static <T> T patiently(Supplier<T> change) throws InterruptedException {
    Backoff backoff = new Backoff(FIRST_WAIT, LONGEST_DATABASE_WAIT, new Random());
    for (int tries = 0; ; tries++) {
      try {
        return change.get();
      } catch (StoreException e) {
        if (e.kind() != StoreException.Kind.UNAVAILABLE) {
          throw e;
        }
        if (tries == 0) {
          LOG.warn("{}; the run tries again by itself", e.getMessage());
        }
        Thread.sleep(backoff.next());
      }
    }
  }

  /**
   * What the run came to is in its database. Files that repeat it must not make another end of it.
   */
  private void conclude(RunStore.Claim claim) {
    try {
      folder.conclude(claim.journal());
    } catch (RunException e) {
      LOG.warn("The metrics and the report are not up to date: {}", e.getMessage());
    }
  }

  @Override
  public void close() {
    database.close();
  }

  /** The worker that the specification asks for, started anew when it is lost. */
  private final class OwnWorker implements WorkerSource, AutoCloseable {
    private Optional<WorkerClient> client = Optional.empty();

    @Override
    public WorkerClient acquire() {
      if (client.isEmpty()) {
        client = Optional.of(FineTuning.openWorker(spec, folder.workerLog(), security));
      }
      return client.get();
    }

    @Override
    public void discard() {
      client.ifPresent(WorkerClient::close);
      client = Optional.empty();
    }

    @Override
    public String log() {
      return switch (WorkerLocation.parse(spec.worker())) {
        case WorkerLocation.Local local -> folder.workerLog().toString();
        case WorkerLocation.Embedded embedded -> "what this program wrote to standard error";
        case WorkerLocation.Remote remote -> "the log of the worker at " + spec.worker();
      };
    }

    @Override
    public void close() {
      discard();
    }
  }
}
