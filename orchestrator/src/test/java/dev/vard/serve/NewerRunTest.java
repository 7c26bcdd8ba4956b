package dev.vard.serve;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.run.FakeWorker;
import dev.vard.run.RunException;
import dev.vard.run.RunStatus;
import dev.vard.store.NewRun;
import dev.vard.store.StoredRun;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A server with a run in its queue that a newer one put there. */
class NewerRunTest {
  @TempDir private Path folder;

  @Test
  void shouldPauseANewerRunAndRunTheOthers() throws Exception {
    try (FakeWorker worker = new FakeWorker();
        TestServer server =
            new TestServer(folder, TestServer.h2(folder), "here", List.of(worker.address()))) {
      server.store.create(
          new NewRun(
              "newer", "newer", "ann", "", "", "# vard state format 4\n" + TestServer.SPEC, 3, 0));
      StoredRun mine = server.create(TestServer.ANN);

      server.orchestrator.start();

      StoredRun newer = server.await("newer", RunStatus.PAUSED);
      assertThat(newer.reasonCode()).isEqualTo(RunException.NEWER_STATE);
      assertThat(newer.reason())
          .startsWith("the run's specification was written by a newer vard: its state format is 4");
      server.await(mine.id(), RunStatus.DONE);
      assertThat(mine.specification()).startsWith("# vard state format 3\n");
    }
  }
}
