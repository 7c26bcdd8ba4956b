package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What deleted runs took of the database's file is used again while it is open. */
@Timeout(120)
class DatabaseSizeTest {
  private static final int RUNS = 200;
  private static final String SPECIFICATION = "# " + "a cat, a dog. ".repeat(5_000) + "\n";

  @TempDir private Path folder;

  private long size() throws IOException {
    return Files.size(folder.resolve("runs.mv.db"));
  }

  private void createAndDelete(RunStore store) {
    for (int i = 0; i < RUNS; i++) {
      NewRun run = Made.run("run-" + i, "alice", 0);
      store.create(
          new NewRun(
              run.id(),
              run.name(),
              run.owner(),
              run.requestId(),
              run.requestDigest(),
              SPECIFICATION + i,
              run.iterations(),
              run.priority()));
      store.delete(run.id());
    }
  }

  @Test
  void shouldUseTheRoomOfDeletedRunsAgain() throws Exception {
    try (OpenStore open = OpenStore.open(Database.file(folder.resolve("runs")).properties())) {
      RunStore store = open.store();
      createAndDelete(store);
      long full = size();
      assertThat(full).as("specifications went through the file").isGreaterThan(4 << 20);

      for (int round = 0; round < 2; round++) {
        long end = System.nanoTime() + H2Upkeep.FLUSH.multipliedBy(3).toNanos();
        while (System.nanoTime() < end) {
          // As a server does every few seconds.
          store.probe();
          Thread.sleep(200);
        }
        createAndDelete(store);
        System.out.printf(
            "%d runs: %d KB; as many again, %d s later: %d KB%n",
            RUNS, full >> 10, 3 * H2Upkeep.FLUSH.toSeconds(), size() >> 10);
        assertThat(size()).as("the room is used again").isLessThan(full * 7 / 5);
      }
    }
  }
}
