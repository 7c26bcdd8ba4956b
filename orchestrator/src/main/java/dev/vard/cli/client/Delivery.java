package dev.vard.cli.client;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Files for a folder that come all or not at all: they are written beside, and renamed once all are
 * there. Closed before that, it leaves the folder, or its absence, as it was.
 */
final class Delivery implements AutoCloseable {
  private final Path folder;

  /** Folders that were made for this, the outermost first. */
  private final List<Path> made = new ArrayList<>();

  private final Path beside;
  private final Map<Path, Path> targets = new LinkedHashMap<>();

  /**
   * @param folder is made if it is missing
   */
  Delivery(Path folder) throws IOException {
    this.folder = folder.toAbsolutePath().normalize();
    for (Path missing = this.folder;
        missing != null && !Files.exists(missing);
        missing = missing.getParent()) {
      made.addFirst(missing);
    }
    Files.createDirectories(this.folder);
    // In the folder: only within a file system is a rename a whole one.
    this.beside = Files.createTempDirectory(this.folder, ".vard-");
  }

  /**
   * Where to write a file that is to come to {@code path}.
   *
   * @param path relative to the folder, with '/', as a server named it
   * @throws ClientException if it would lie elsewhere
   */
  Path file(String path) {
    Path target = folder.resolve(path).normalize();
    if (!target.startsWith(folder) || target.equals(folder)) {
      throw new ClientException("the server names a file outside of " + folder + ": " + path);
    }
    Path file = beside.resolve(String.valueOf(targets.size()));
    targets.put(file, target);
    return file;
  }

  /** Puts all files in place. */
  void keep() throws IOException {
    for (Map.Entry<Path, Path> entry : targets.entrySet()) {
      Files.createDirectories(entry.getValue().getParent());
      Files.move(
          entry.getKey(),
          entry.getValue(),
          StandardCopyOption.ATOMIC_MOVE,
          StandardCopyOption.REPLACE_EXISTING);
    }
    made.clear();
  }

  @Override
  public void close() throws IOException {
    try (Stream<Path> all = Files.walk(beside)) {
      for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
    for (Path path : made.reversed()) {
      Files.delete(path);
    }
  }
}
