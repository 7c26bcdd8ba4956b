package dev.vard.api;

import java.io.IOException;
import java.util.Optional;

/** A file's bytes alone. */
final class ChunkSource implements StreamTask.Source<byte[]> {
  private final Chunks chunks;
  private boolean ended;

  ChunkSource(Chunks chunks) {
    this.chunks = chunks;
  }

  @Override
  public Optional<byte[]> next() throws IOException {
    Optional<byte[]> chunk = chunks.next();
    ended = chunk.isEmpty();
    return chunk;
  }

  @Override
  public boolean ended() {
    return ended;
  }

  @Override
  public void close() {
    chunks.close();
  }
}
