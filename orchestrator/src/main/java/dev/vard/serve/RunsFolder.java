package dev.vard.serve;

import dev.vard.files.PrivateFiles;
import dev.vard.store.RunQuery;
import dev.vard.store.RunStore;
import dev.vard.store.StoreException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** What is looked at in a server's folder of runs before the server starts. */
public final class RunsFolder {
  private final Path root;

  public RunsFolder(Path root) {
    this.root = root.toAbsolutePath().normalize();
  }

  /**
   * Makes the folder where it is missing.
   *
   * @throws StoreException UNAVAILABLE, if nothing can be written there
   */
  public void checkWritable() {
    try {
      PrivateFiles.createFolders(root);
      Files.delete(Files.createTempFile(root, ".writable", ""));
    } catch (IOException e) {
      throw new StoreException(
          StoreException.Kind.UNAVAILABLE,
          "STORAGE: the runs' folder %s cannot be written (%s): make it writable for %s, or name another with --runs"
              .formatted(root, e, System.getProperty("user.name")),
          e);
    }
  }

  /**
   * A database that lost its runs, or the wrong one, must not look like a server that is new.
   *
   * @throws StoreException UNUSABLE, if the database has no run, but the folder has
   */
  public void checkKnown(RunStore store) {
    if (!store.list(new RunQuery(Optional.empty(), List.of(), Optional.empty(), 1)).isEmpty()) {
      return;
    }
    List<String> unknown = runs();
    if (!unknown.isEmpty()) {
      throw new StoreException(
          StoreException.Kind.UNUSABLE,
          "the database has no runs, but %s holds %d that a server made, %s among them: put the database's back-up back (docs/operations.md), or start with --new-database to leave them alone"
              .formatted(root, unknown.size(), unknown.getFirst()));
    }
  }

  /** Runs of a server: those of {@code vard run} have a database of their own beside them. */
  private List<String> runs() {
    try (Stream<Path> folders = Files.list(root)) {
      return folders
          .filter(folder -> Files.exists(folder.resolve("spec.resolved.yaml")))
          .filter(folder -> !Files.exists(folder.resolve("run.mv.db")))
          .map(folder -> folder.getFileName().toString())
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new StoreException(
          StoreException.Kind.UNAVAILABLE, "STORAGE: " + root + " cannot be read: " + e, e);
    }
  }
}
