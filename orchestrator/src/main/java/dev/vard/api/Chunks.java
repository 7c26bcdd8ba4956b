package dev.vard.api;

import dev.vard.serve.Runs.ArtifactView;
import dev.vard.serve.Runs.Content;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;

/**
 * A file's bytes in pieces, as many as were there when it was opened: a running run's files grow.
 */
final class Chunks implements AutoCloseable {
  /** Small enough that a slow reader's piece in hand costs little. */
  static final int BYTES = 64 << 10;

  private final Content content;
  private final MessageDigest digest;
  private long left;

  Chunks(Content content) {
    this.content = content;
    this.left = content.artifact().bytes();
    try {
      this.digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  ArtifactView artifact() {
    return content.artifact();
  }

  /** Empty after the last one. */
  Optional<byte[]> next() throws IOException {
    if (left == 0) {
      return Optional.empty();
    }
    byte[] chunk = content.bytes().readNBytes((int) Math.min(BYTES, left));
    if (chunk.length == 0) {
      throw new EOFException(artifact().path() + " became shorter while it was read");
    }
    left -= chunk.length;
    digest.update(chunk);
    return Optional.of(chunk);
  }

  /** Of all that was read, in hex; once. */
  String sha256() {
    return HexFormat.of().formatHex(digest.digest());
  }

  @Override
  public void close() {
    try {
      content.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
