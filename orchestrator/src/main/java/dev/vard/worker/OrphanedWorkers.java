package dev.vard.worker;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Local workers that outlived their orchestrator.
 *
 * <p>A worker ends when its orchestrator does, however that ends, unless it cannot notice: it is
 * stopped, or stuck in a driver. It then holds memory, perhaps a whole GPU, for nobody.
 */
public final class OrphanedWorkers {
  private static final Logger LOG = LoggerFactory.getLogger(OrphanedWorkers.class);
  private static final Duration PATIENCE = Duration.ofSeconds(5);

  /** The kernel has gigabytes to give back. */
  private static final Duration KILLING = Duration.ofSeconds(30);

  private OrphanedWorkers() {}

  /**
   * Ends the workers that a folder's pid files name and whose orchestrator has gone: for an
   * orchestrator's start. Files of processes that have ended are removed. A worker whose
   * orchestrator lives is left alone: several orchestrators of one machine may share a folder.
   *
   * @param folder the one given to {@link WorkerClients#open(WorkerLocation, Path, WorkerSecurity,
   *     Optional)}, of this machine; it need not exist
   * @return the processes that were ended
   * @throws WorkerException UNAVAILABLE, if the folder cannot be read
   */
  public static List<Long> end(Path folder) {
    return end(folder, PATIENCE);
  }

  /**
   * @param patience for SIGTERM to do its work, before SIGKILL does
   */
  static List<Long> end(Path folder, Duration patience) {
    List<Long> ended = new ArrayList<>();
    if (!Files.isDirectory(folder)) {
      return ended;
    }
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, PidFile.GLOB)) {
      for (Path file : files) {
        settle(file, patience).ifPresent(ended::add);
      }
    } catch (IOException e) {
      throw WorkerException.unavailable(
          "orphaned workers could not be looked for in " + folder + ": " + e.getMessage(), e);
    }
    return ended;
  }

  private static Optional<Long> settle(Path file, Duration patience) throws IOException {
    Optional<PidFile> written = PidFile.read(file);
    if (written.flatMap(pids -> pids.orchestrator().process()).isPresent()) {
      return Optional.empty();
    }
    Optional<ProcessHandle> orphan = written.flatMap(pids -> pids.worker().process());
    if (orphan.isPresent() && !kill(orphan.get(), patience)) {
      LOG.warn(
          "Worker process {} has no orchestrator any more and does not end: end it by hand",
          orphan.get().pid());
      return Optional.empty();
    }
    Files.deleteIfExists(file);
    orphan.ifPresent(
        process -> LOG.info("Ended worker process {}, whose orchestrator is gone", process.pid()));
    return orphan.map(ProcessHandle::pid);
  }

  private static boolean kill(ProcessHandle process, Duration patience) {
    process.destroy();
    if (hasEnded(process, patience)) {
      return true;
    }
    // A stopped process hears of SIGTERM when it goes on. SIGKILL it need not hear.
    process.destroyForcibly();
    return hasEnded(process, KILLING);
  }

  private static boolean hasEnded(ProcessHandle process, Duration patience) {
    try {
      process.onExit().get(patience.toMillis(), TimeUnit.MILLISECONDS);
      return true;
    } catch (TimeoutException | ExecutionException e) {
      return !process.isAlive();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return !process.isAlive();
    }
  }
}
