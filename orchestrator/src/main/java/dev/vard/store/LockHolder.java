package dev.vard.store;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;

/** Finds the process that has a file locked, where the system tells it: Linux does. */
public final class LockHolder {
  private static final Path LOCKS = Path.of("/proc/locks");

  /** {@code 1: POSIX ADVISORY WRITE 4711 08:01:1234 0 EOF}; one that waits has an arrow first. */
  private static final int PID = 4;

  private static final int FILE = 5;

  private LockHolder() {}

  /**
   * The process's id.
   *
   * @return empty where it is not known: another system, or a process of another container
   */
  public static Optional<Long> of(Path file) {
    if (!Files.isReadable(LOCKS)) {
      return Optional.empty();
    }
    try (Stream<String> lines = Files.lines(LOCKS)) {
      String inode = ":" + Files.getAttribute(file, "unix:ino");
      return lines
          .map(line -> line.split("\\s+"))
          .filter(lock -> lock.length > FILE && lock[FILE].endsWith(inode))
          .map(lock -> Long.parseLong(lock[PID]))
          .filter(pid -> pid > 0)
          .findFirst();
    } catch (IOException
        | UncheckedIOException
        | UnsupportedOperationException
        | IllegalArgumentException e) {
      return Optional.empty();
    }
  }
}
