package dev.vard.api;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The tokens file, read again when it was changed: a token is given or taken away without a
 * restart. Thread-safe.
 */
final class TokenFile {
  private static final Logger LOG = LoggerFactory.getLogger(TokenFile.class);

  private final Path file;
  private volatile Version current;

  /**
   * @throws SettingsException if it cannot be used
   */
  TokenFile(Path file) {
    this.file = file;
    // The time first: what is written in between is seen as a change.
    FileTime changed = changed().orElse(FileTime.fromMillis(0));
    this.current = new Version(Tokens.read(file), changed);
  }

  private record Version(Tokens tokens, FileTime changed) {}

  Optional<Tokens.Owner> find(String token) {
    Version seen = current;
    Optional<FileTime> changed = changed();
    if (changed.isPresent() && !changed.get().equals(seen.changed)) {
      reload(changed.get());
    }
    return current.tokens.find(token);
  }

  private synchronized void reload(FileTime changed) {
    if (changed.equals(current.changed)) {
      return;
    }
    try {
      current = new Version(Tokens.read(file), changed);
    } catch (SettingsException e) {
      LOG.error(
          "The tokens before the last change stay valid until it is mended: {}", e.getMessage());
      current = new Version(current.tokens, changed);
    }
  }

  /** Empty while there is no such file, as when an editor replaces it. */
  private Optional<FileTime> changed() {
    try {
      return Optional.of(Files.getLastModifiedTime(file));
    } catch (IOException e) {
      return Optional.empty();
    }
  }
}
