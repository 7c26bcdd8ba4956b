package dev.vard.files;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;

/** Says in words why a file could not be read or written: Java's exceptions name their class. */
public final class FileTrouble {
  private FileTrouble() {}

  /**
   * As {@code No space left on device}; without the file's name where the system tells a reason.
   */
  public static String reason(IOException e) {
    return switch (e) {
      case AccessDeniedException denied -> "permission denied for " + denied.getFile();
      case NoSuchFileException missing -> "there is no " + missing.getFile();
      case FileAlreadyExistsException exists -> exists.getFile() + " exists already";
      case FileSystemException system when system.getReason() != null -> system.getReason();
      default -> e.getMessage() == null ? "input or output failed" : e.getMessage();
    };
  }
}
