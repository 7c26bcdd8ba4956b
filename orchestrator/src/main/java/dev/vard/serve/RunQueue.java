package dev.vard.serve;

import com.github.kagkarlsson.scheduler.ScheduledExecution;
import com.github.kagkarlsson.scheduler.ScheduledExecutionsFilter;
import com.github.kagkarlsson.scheduler.Scheduler;
import com.github.kagkarlsson.scheduler.SchedulerBuilder;
import com.github.kagkarlsson.scheduler.SchedulerClient.ScheduleOptions;
import com.github.kagkarlsson.scheduler.SchedulerName;
import com.github.kagkarlsson.scheduler.exceptions.ExecutionException;
import com.github.kagkarlsson.scheduler.exceptions.TaskInstanceException;
import com.github.kagkarlsson.scheduler.logging.LogLevel;
import com.github.kagkarlsson.scheduler.serializer.Serializer;
import com.github.kagkarlsson.scheduler.task.CompletionHandler;
import com.github.kagkarlsson.scheduler.task.TaskDescriptor;
import com.github.kagkarlsson.scheduler.task.helper.Tasks;
import dev.vard.run.RunStatus;
import dev.vard.store.RunStore;
import dev.vard.store.StoredRun;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which orchestrator runs what, and when: a thin layer over db-scheduler, which gives each run one
 * owner, watches that the owner lives, and gives the run to another one if not.
 *
 * <p>An unfinished run that is to go on has one execution, of its id. The store says what is true
 * of a run; an execution only brings it to somebody's attention, and {@link #reconcile} mends what
 * a crash between the two left.
 */
final class RunQueue implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(RunQueue.class);
  private static final TaskDescriptor<Void> FINE_TUNE = TaskDescriptor.of("fine-tune");
  private static final Set<RunStatus> UNFINISHED =
      EnumSet.of(RunStatus.WAITING, RunStatus.RUNNING, RunStatus.PAUSED);

  /** db-scheduler cuts a longer name off, and two that begin alike would be one. */
  private static final int MAX_NAME = 50;

  /** Of the table {@code scheduled_tasks}: see the migrations of the store. */
  private static final String FREE =
      "update scheduled_tasks set picked = false, picked_by = null, last_heartbeat = null,"
          + " version = version + 1 where picked and task_name = ?";

  /**
   * How often things are done.
   *
   * @param poll looks for runs that are due
   * @param heartbeat says that a run's owner lives; after four that were missed it is dead
   */
  record Pace(Duration poll, Duration heartbeat) {
    static final Pace DEFAULT = new Pace(Duration.ofMillis(500), Duration.ofSeconds(2));
  }

  /** Does what there is to do for a run, on a thread of the queue, for as long as it takes. */
  @FunctionalInterface
  interface Work {
    /** What the work came to. */
    enum Outcome {
      /** The run's status in the store says what is next. */
      SETTLED,
      /** The run is somebody else's now. */
      LOST,
      /** It cannot be done right now. */
      LATER
    }

    Outcome on(String runId);
  }

  private final RunStore store;
  private final DataSource dataSource;
  private final Clock clock;
  private final String name;
  private final boolean exclusive;
  private final Scheduler scheduler;
  private final Duration retry;

  /**
   * @param dataSource the database itself, not a proxy that takes part in transactions
   * @param threads how many runs at a time
   * @param name of this orchestrator, and of no other
   * @param executing whether a run is in work in this process
   */
  RunQueue(
      RunStore store,
      DataSource dataSource,
      int threads,
      String name,
      Pace pace,
      Clock clock,
      Work work,
      Predicate<String> executing) {
    this.store = store;
    this.dataSource = dataSource;
    this.clock = clock;
    this.name = shortened(name);
    this.exclusive = isH2(dataSource);
    this.retry = pace.heartbeat();
    var task =
        Tasks.custom(FINE_TUNE)
            .onDeadExecution(
                (done, operations) -> {
                  // The database was away for longer than heartbeats may be missed, but its owner,
                  // this process, lives: its next heartbeat is good again.
                  if (!executing.test(done.getExecution().getId())) {
                    LOG.warn(
                        "The owner of run {}, {}, is dead: it goes back into the queue",
                        done.getExecution().getId(),
                        done.getExecution().pickedBy);
                    operations.reschedule(done, turn(done.getExecution().executionTime));
                  }
                })
            .onFailure(
                (done, operations) -> operations.reschedule(done, clock.instant().plus(retry)))
            .execute(
                (instance, context) -> completion(instance.getId(), work.on(instance.getId())));
    SchedulerBuilder builder =
        Scheduler.create(dataSource, task)
            .schedulerName(new SchedulerName.Fixed(this.name))
            .serializer(new NoData())
            .threads(threads)
            // As many as there are free threads, in order: fetching ahead would fill a list in
            // memory at each poll for as long as all threads are busy, which is hours.
            .pollUsingLockAndFetch(0.99, 1.0)
            .pollingInterval(pace.poll())
            .heartbeatInterval(pace.heartbeat())
            .missedHeartbeatsLimit(4)
            .enablePriority()
            .enableImmediateExecution()
            .failureLogging(LogLevel.WARN, false)
            .shutdownMaxWait(Duration.ofSeconds(5));
    if (exclusive) {
      builder.jdbcCustomization(new H2Customization());
    }
    this.scheduler = builder.build();
  }

  /** Begins to run what is due. What an earlier life of this orchestrator had goes on at once. */
  void start() {
    free();
    reconcile();
    scheduler.start();
  }

  /** Takes no more runs. Those in work go on. */
  void pause() {
    scheduler.pause();
  }

  /** Waits for those in work a little, and stops. */
  @Override
  public void close() {
    scheduler.stop();
  }

  /** Makes sure that a run is brought to attention when it is due, if it is to go on at all. */
  void settle(StoredRun run) {
    try {
      if (!isToGoOn(run)) {
        scheduler.cancel(FINE_TUNE.instanceId(run.id()));
      } else {
        scheduler.schedule(
            FINE_TUNE.instance(run.id()).priority(run.priority()).scheduledTo(due(run)),
            ScheduleOptions.defaultOptions().whenExistsReschedule());
      }
    } catch (TaskInstanceException e) {
      // It is in work, or just was: whoever has it looks at the run's status when it lets go.
      LOG.debug("Run {} is settled by its owner: {}", run.id(), e.getMessage());
    }
  }

  /** A run that is no more. */
  void forget(String runId) {
    try {
      scheduler.cancel(FINE_TUNE.instanceId(runId));
    } catch (TaskInstanceException e) {
      LOG.debug("Run {} has no execution to forget: {}", runId, e.getMessage());
    }
  }

  /**
   * Compares executions with the store: makes those that are missing, removes those that nobody
   * needs, and lets a paused run whose time has come go to its place in the queue.
   */
  void reconcile() {
    Map<String, ScheduledExecution<Object>> executions = new HashMap<>();
    // Read before the runs: a run that is made in between is not taken for one without a run.
    scheduler.fetchScheduledExecutionsForTask(
        FINE_TUNE.getTaskName(),
        Object.class,
        ScheduledExecutionsFilter.all(),
        execution -> executions.put(execution.getTaskInstance().getId(), execution));
    for (StoredRun run : store.queue(UNFINISHED)) {
      Optional<ScheduledExecution<Object>> execution =
          Optional.ofNullable(executions.remove(run.id()));
      boolean picked = execution.filter(ScheduledExecution::isPicked).isPresent();
      boolean right =
          isToGoOn(run)
              ? execution.filter(e -> e.getExecutionTime().equals(due(run))).isPresent()
              : execution.isEmpty();
      if (!picked && !right) {
        settle(run);
      }
    }
    executions.values().stream()
        .filter(execution -> !execution.isPicked())
        .map(execution -> execution.getTaskInstance().getId())
        .forEach(this::settleAnew);
  }

  /** As the run stands now, and not when it was listed. */
  private void settleAnew(String runId) {
    store.find(runId).ifPresentOrElse(this::settle, () -> forget(runId));
  }

  private CompletionHandler<Void> completion(String runId, Work.Outcome outcome) {
    return switch (outcome) {
      case LOST -> (done, operations) -> {};
      case LATER -> (done, operations) -> operations.reschedule(done, clock.instant().plus(retry));
      case SETTLED ->
          (done, operations) -> {
            try {
              operations.stop();
            } catch (ExecutionException e) {
              // It counted as dead for a while: the execution is free or another orchestrator's,
              // who looks at the run's status as we do.
              LOG.info("Run {} was let go after its execution: {}", runId, e.getMessage());
              return;
            }
            // After it: who resumed the run meanwhile found an execution, and made none.
            store.find(runId).filter(RunQueue::isToGoOn).ifPresent(this::settle);
          };
    };
  }

  private static boolean isToGoOn(StoredRun run) {
    return switch (run.status()) {
      case WAITING, RUNNING -> true;
      case PAUSED -> run.retryAt().isPresent();
      case CANCELLED, FAILED, DONE -> false;
    };
  }

  /** A paused run waits for its time, and then, like all others, for its turn. */
  private Instant due(StoredRun run) {
    Instant now = clock.instant();
    return run.retryAt()
        .filter(time -> run.status() == RunStatus.PAUSED && time.isAfter(now))
        .map(time -> time.truncatedTo(ChronoUnit.MILLIS).plusMillis(1))
        .orElseGet(() -> turn(run, now));
  }

  /**
   * A time in the past that puts runs of the same priority into the store's order: by turn, then by
   * creation. The milliseconds of a week and a half fit between two turns.
   */
  private static Instant turn(StoredRun run, Instant now) {
    long millis = run.createdAt().toEpochMilli() % 1_000_000_000L;
    Instant time = Instant.EPOCH.plusSeconds(run.turn() * 1_000).plusNanos(millis * 1_000);
    return time.isBefore(now) ? time : now;
  }

  private Instant turn(Instant before) {
    Instant now = clock.instant();
    return before.isBefore(now) ? before : now;
  }

  /**
   * Frees what an earlier life of this orchestrator had in work, without waiting until it counts as
   * dead. An H2 database has one process at a time: whoever had something there is gone.
   */
  private void free() {
    String statement = exclusive ? FREE : FREE + " and picked_by = ?";
    try (Connection connection = dataSource.getConnection();
        PreparedStatement update = connection.prepareStatement(statement)) {
      update.setString(1, FINE_TUNE.getTaskName());
      if (!exclusive) {
        update.setString(2, name);
      }
      int freed = update.executeUpdate();
      if (!connection.getAutoCommit()) {
        connection.commit();
      }
      if (freed > 0) {
        LOG.info("{} runs of an earlier life go on", freed);
      }
    } catch (SQLException e) {
      throw new IllegalStateException("the queue cannot be read: " + e.getMessage(), e);
    }
  }

  private static boolean isH2(DataSource dataSource) {
    try (Connection connection = dataSource.getConnection()) {
      return connection.getMetaData().getDatabaseProductName().equals("H2");
    } catch (SQLException e) {
      throw new IllegalStateException("the database cannot be reached: " + e.getMessage(), e);
    }
  }

  private static String shortened(String name) {
    if (name.length() <= MAX_NAME) {
      return name;
    }
    byte[] digest = Digests.sha256().digest(name.getBytes(StandardCharsets.UTF_8));
    String mark = HexFormat.of().formatHex(digest, 0, 6);
    return name.substring(0, MAX_NAME - mark.length() - 1) + "-" + mark;
  }

  /** Executions carry nothing but the run's id. Java's serialisation stays out of the database. */
  private static final class NoData implements Serializer {
    @Override
    public byte @Nullable [] serialize(@Nullable Object data) {
      if (data != null) {
        throw new IllegalArgumentException("an execution has no data");
      }
      return null;
    }

    @Override
    public <T> @Nullable T deserialize(Class<T> type, byte[] serialized) {
      return null;
    }
  }
}
