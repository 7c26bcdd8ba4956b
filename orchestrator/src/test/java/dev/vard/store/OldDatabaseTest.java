package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.run.RunStatus;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Newer versions of Flyway and H2 must read what older ones wrote. {@code schema-2.mv.db.gz} is the
 * database of a server with Flyway 10.22.0 and H2 2.3.232, on which three runs of two iterations
 * ran; the last was cancelled.
 */
class OldDatabaseTest {
  @TempDir private Path folder;

  @Test
  void shouldGoOnWithADatabaseThatAnEarlierProgramWrote() throws Exception {
    unpack();

    try (OpenStore open = OpenStore.open(Database.file(folder.resolve("database")).properties())) {
      RunStore store = open.store();
      List<StoredRun> runs =
          store.list(new RunQuery(Optional.empty(), List.of(), Optional.empty(), 10));
      assertThat(runs)
          .extracting(StoredRun::status)
          .containsExactly(RunStatus.CANCELLED, RunStatus.DONE, RunStatus.DONE);
      for (StoredRun run : runs) {
        assertThat(store.events(run.id(), 0, 10_000)).hasSize((int) run.lastSequence());
      }

      StoredRun resumed = store.resume(runs.getFirst().id());
      RunStore.Claim claim = store.claim(resumed.id(), "here").orElseThrow();
      assertThat(claim.journal().state()).isPresent();
      assertThat(store.create(Made.run("new", "alice", 0)).status()).isEqualTo(RunStatus.WAITING);
    }
  }

  private void unpack() throws IOException {
    try (InputStream packed = getClass().getResourceAsStream("/database/schema-2.mv.db.gz");
        InputStream file = new GZIPInputStream(packed)) {
      Files.copy(file, folder.resolve("database.mv.db"));
    }
  }
}
