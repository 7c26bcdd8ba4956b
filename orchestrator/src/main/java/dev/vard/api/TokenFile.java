package dev.vard.api;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The tokens file, read again when it was changed: a token is given or taken away without a
 * restart. What stands in the file now counts, and nothing else: of a file with a wrong line the
 * other lines, of a file that cannot be read nothing. Thread-safe.
 */
final class TokenFile {
  private static final Logger LOG = LoggerFactory.getLogger(TokenFile.class);

  private final Path file;
  private volatile Version current;

  /**
   * @throws SettingsException if it cannot be used as it stands
   */
  TokenFile(Path file) {
    this.file = file;
    // The stamp first: what is written in between is seen as a change.
    Optional<Stamp> stamp = stamp();
    byte[] content = Tokens.content(file);
    this.current =
        new Version(stamp, Tokens.sha256(content), Tokens.read(file, content), List.of());
  }

  /** What tells most changes without reading. */
  private record Stamp(FileTime changed, long size, Optional<Object> key) {}

  /**
   * @param digest of the content; of none where it cannot be read
   * @param problems what is wrong with it
   */
  private record Version(
      Optional<Stamp> stamp, byte[] digest, Tokens tokens, List<String> problems) {}

  /** Whom a token stands for; a change of the file's time, size or identity counts at once. */
  Optional<Tokens.Owner> find(byte[] digest) {
    if (!stamp().equals(current.stamp)) {
      look();
    }
    return current.tokens.find(digest);
  }

  /** Whether the token still stands for the owner, as of the last look. */
  boolean stands(byte[] digest, Tokens.Owner owner) {
    return current.tokens.find(digest).equals(Optional.of(owner));
  }

  /** What is wrong where nobody is let in at all. */
  Optional<String> trouble() {
    Version version = current;
    return version.tokens.isEmpty()
        ? Optional.of("nobody is let in: " + String.join("; ", version.problems))
        : Optional.empty();
  }

  /** Reads it, whatever its time says: some editors, copies and restores keep it. */
  synchronized void look() {
    Optional<Stamp> stamp = stamp();
    byte[] digest;
    Tokens.Parsed parsed;
    try {
      byte[] content = Tokens.content(file);
      digest = Tokens.sha256(content);
      parsed =
          Arrays.equals(digest, current.digest)
              ? new Tokens.Parsed(current.tokens, current.problems)
              : Tokens.parse(file, content);
    } catch (SettingsException e) {
      digest = new byte[0];
      parsed = new Tokens.Parsed(Tokens.NONE, List.of(e.getMessage()));
    }
    if (!parsed.problems().equals(current.problems)) {
      tell(parsed);
    }
    current = new Version(stamp, digest, parsed.tokens(), parsed.problems());
  }

  private void tell(Tokens.Parsed parsed) {
    if (parsed.problems().isEmpty()) {
      LOG.info("The tokens file {} is in order again", file);
    } else if (parsed.tokens().isEmpty()) {
      LOG.error("Nobody is let in: {}", String.join("; ", parsed.problems()));
    } else {
      LOG.error(
          "The tokens file was changed; its other lines count: {}",
          String.join("; ", parsed.problems()));
    }
  }

  /** Empty while there is no such file. */
  private Optional<Stamp> stamp() {
    try {
      BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
      return Optional.of(
          new Stamp(
              attributes.lastModifiedTime(),
              attributes.size(),
              Optional.ofNullable(attributes.fileKey())));
    } catch (IOException e) {
      return Optional.empty();
    }
  }
}
