package dev.vard.run;

import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.Rewards;
import dev.vard.reward.kind.RewardEnvironment;
import dev.vard.reward.kind.RewardKinds;
import dev.vard.spec.RunSpec;
import dev.vard.worker.WorkerClient;
import dev.vard.worker.WorkerClients;
import dev.vard.worker.WorkerLocation;
import dev.vard.worker.WorkerSecurity;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * Fine-tunes a model: the front door for Java programs, and for the command line.
 *
 * <pre>{@code
 * RunSpec spec = new SpecReader().read(Path.of("examples/redness.yaml"), List.of());
 * Reward redness = Reward.of("redness", (image, prompt) -> image.at(16, 16, 0) / 255.0);
 * try (WorkerClient worker = FineTuning.openWorker(spec)) {
 *   RunResult result = new FineTuning(spec, redness).run(worker, RunFolder.at(Path.of("runs/red"), spec));
 *   System.out.println(result.export());
 * }
 * }</pre>
 *
 * <p>Interrupting the thread that runs stops the run: it saves the adapter as it is and throws a
 * {@link RunException} that is {@link RunException#cancelled()}.
 */
public final class FineTuning {
  private final RunSpec spec;
  private final Function<RunFolder, Rewards> rewards;

  /** Takes the reward that the program brings, whatever the specification's is. */
  public FineTuning(RunSpec spec, Reward reward) {
    this(spec, folder -> Rewards.of(reward));
  }

  /** Takes the reward that the specification names. */
  public FineTuning(RunSpec spec) {
    this(
        spec,
        folder -> new RewardKinds(RewardEnvironment.of(folder.rewardLog())).open(spec.reward()));
  }

  private FineTuning(RunSpec spec, Function<RunFolder, Rewards> rewards) {
    this.spec = spec;
    this.rewards = rewards;
  }

  /** The worker that a specification asks for. A local one's log goes to a temporary file. */
  public static WorkerClient openWorker(RunSpec spec) {
    return WorkerClients.open(location(spec));
  }

  /**
   * The worker that a specification asks for.
   *
   * @param log takes what a local worker writes
   * @param security for a worker at {@code host:port}
   */
  public static WorkerClient openWorker(RunSpec spec, Path log, WorkerSecurity security) {
    return WorkerClients.open(location(spec), log, security, Optional.empty());
  }

  private static WorkerLocation location(RunSpec spec) {
    return switch (WorkerLocation.parse(spec.worker())) {
      case WorkerLocation.Local local -> new WorkerLocation.Local(spec.threads());
      case WorkerLocation.Embedded embedded -> new WorkerLocation.Embedded(spec.threads());
      case WorkerLocation.Remote remote -> remote;
    };
  }

  /**
   * Runs to the end, and fills the run's folder. Blocks. A run that is killed is lost: {@link
   * SupervisedRun}, with a journal in a database, survives that.
   *
   * @param listeners hear of everything, on this thread
   * @throws RunException if the run did not reach its end; the folder holds what it came to
   */
  public RunResult run(WorkerClient worker, RunFolder folder, RunListener... listeners) {
    RunJournal journal = new MemoryJournal();
    MetricsFile metrics = new MetricsFile(folder);
    List<RunListener> all = List.of(listeners);
    RunListener listener =
        event -> {
          metrics.onEvent(event);
          all.forEach(one -> one.onEvent(event));
        };
    try (Rewards open = open(folder)) {
      return new RunEngine(
              spec, worker, open, folder, journal, 1, new Deadlines(), listener, Clock.systemUTC())
          .run(Optional.empty());
    } catch (RunException e) {
      RunStatus to = e.cancelled() ? RunStatus.CANCELLED : RunStatus.FAILED;
      try {
        listener.onEvent(
            new RunEvent.StateChanged(
                Optional.of(RunStatus.RUNNING), to, e.code(), e.getMessage()));
      } catch (RunException untold) {
        // The disk that ended the run may not take the line about it.
        e.addSuppressed(untold);
      }
      throw e;
    } finally {
      folder.report();
    }
  }

  private Rewards open(RunFolder folder) {
    try {
      return rewards.apply(folder);
    } catch (RewardException e) {
      throw RunException.of("while the reward was opened", e);
    }
  }
}
