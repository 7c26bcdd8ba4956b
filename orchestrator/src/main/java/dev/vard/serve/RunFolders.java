package dev.vard.serve;

import dev.vard.files.PrivateFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The folders of a server's runs, one each, named by the run's id. Orchestrators that share a
 * database share them too.
 *
 * <pre>
 *   runs/&lt;id&gt;/            see {@link dev.vard.run.RunFolder}
 *   runs/.deleted/&lt;id&gt;    a run that is about to be deleted, or half is
 *   runs/.workers/        logs and process ids of the orchestrators' workers
 * </pre>
 */
final class RunFolders {
  private static final Logger LOG = LoggerFactory.getLogger(RunFolders.class);

  private final Path root;

  /**
   * @param root is made where it is missing
   */
  RunFolders(Path root) {
    this.root = root.toAbsolutePath().normalize();
  }

  Path of(String runId) {
    return root.resolve(runId);
  }

  /**
   * A folder for what the workers of an orchestrator leave behind.
   *
   * @throws UncheckedIOException if it cannot be made
   */
  Path workers(String orchestrator) {
    Path folder = root.resolve(".workers").resolve(orchestrator.replaceAll("[^\\w.-]", "_"));
    try {
      return PrivateFiles.createFolders(folder);
    } catch (IOException e) {
      throw new UncheckedIOException("the folder " + folder + " cannot be made", e);
    }
  }

  /**
   * Notes that a run is about to be deleted: before the database forgets it. If this process dies
   * before {@link #delete}, a {@link #sweep} removes the files. A folder that no database knows is
   * no reason to remove it: {@code vard run} makes such.
   */
  void doom(String runId) throws IOException {
    PrivateFiles.createFolders(graves());
    PrivateFiles.write(graves().resolve(runId), new byte[0]);
  }

  /** The run stays after all. */
  void spare(String runId) throws IOException {
    Files.deleteIfExists(graves().resolve(runId));
  }

  /** Removes a doomed run's files. What cannot be removed now is tried again by {@link #sweep}. */
  void delete(String runId) {
    try {
      remove(of(runId));
      spare(runId);
    } catch (IOException e) {
      LOG.warn("The files of deleted run {} remain, until the next start: {}", runId, e.toString());
    }
  }

  /**
   * Ends what a crash left half done.
   *
   * @param exists whether the database has a run
   */
  void sweep(Predicate<String> exists) {
    for (String runId : doomed()) {
      if (exists.test(runId)) {
        try {
          spare(runId);
        } catch (IOException e) {
          LOG.warn("Run {} remains marked for deletion: {}", runId, e.toString());
        }
      } else {
        delete(runId);
      }
    }
  }

  private List<String> doomed() {
    try (Stream<Path> marks = Files.list(graves())) {
      return marks.map(mark -> mark.getFileName().toString()).toList();
    } catch (NoSuchFileException e) {
      return List.of();
    } catch (IOException e) {
      LOG.warn("{} cannot be read: {}", graves(), e.toString());
      return List.of();
    }
  }

  private Path graves() {
    return root.resolve(".deleted");
  }

  /** A tree, links themselves and not what they lead to. */
  private static void remove(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    Files.walkFileTree(
        folder,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.deleteIfExists(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path directory, IOException failure)
              throws IOException {
            if (failure != null) {
              throw failure;
            }
            Files.deleteIfExists(directory);
            return FileVisitResult.CONTINUE;
          }
        });
  }
}
