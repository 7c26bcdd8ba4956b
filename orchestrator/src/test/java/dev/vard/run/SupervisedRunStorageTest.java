package dev.vard.run;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.ExportRequest;
import dev.vard.proto.v1.RestoreRequest;
import dev.vard.proto.v1.SaveRequest;
import dev.vard.reward.Rewards;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Checkpoints, and disks that are full, away or damaged. */
class SupervisedRunStorageTest extends SupervisedRunBehaviour {
  @Test
  void shouldPauseAndGoOnWhenTheDiskIsFullForAWhile() {
    worker.refuse(SaveRequest.class, ErrorCode.STORAGE, "no space left on device");
    RunEnd paused = run();
    assertThat(paused.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(paused.code()).isEqualTo("STORAGE");
    assertThat(paused.retryAt()).isPresent();

    worker.relent(SaveRequest.class);

    assertThat(run().status()).isEqualTo(RunStatus.DONE);
  }

  @Test
  void shouldPauseAndGoOnWhenThereIsNoRoomForAnEvent() {
    RunEnd paused =
        supervised(
                () -> Rewards.of(BRIGHTNESS),
                event -> {
                  if (event instanceof RunEvent.IterationFinished) {
                    fill(folder().resolve("metrics.jsonl"));
                  }
                })
            .run();

    assertThat(paused.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(paused.code()).isEqualTo("STORAGE");
    assertThat(paused.retryAt()).isPresent();
    assertThat(paused.reason())
        .isEqualTo(
            folder().resolve("metrics.jsonl") + " cannot be written: No space left on device");

    assertThat(run().status()).isEqualTo(RunStatus.DONE);
    assertThat(folder().resolve("metrics.jsonl")).content().contains("\"iteration\":3");
  }

  /** From now on the file is one on a disk that has no room. */
  private static void fill(Path file) {
    try {
      Files.delete(file);
      Files.createSymbolicLink(file, Path.of("/dev/full"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void shouldPauseWhenTheFolderIsOutOfReach() throws IOException {
    worker.refuse(SaveRequest.class, ErrorCode.STORAGE, "no space left on device");
    run();
    worker.relent(SaveRequest.class);
    Files.move(folder(), temp.resolve("elsewhere"));

    RunEnd paused = run();

    assertThat(paused.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(paused.reason()).contains("is not there or cannot be read: bring it back");
    assertThat(folder()).doesNotExist();

    Files.move(temp.resolve("elsewhere"), folder());
    assertThat(run().status()).isEqualTo(RunStatus.DONE);
  }

  @Test
  void shouldKeepTheLastCheckpoints() throws IOException {
    run();

    assertThat(checkpoints()).hasSize(2).allMatch(name -> name.endsWith("-g1"));
    assertThat(all(RunEvent.Checkpointed.class))
        .extracting(e -> e.iteration())
        .containsExactly(1, 2, 3);
  }

  @Test
  void shouldUseTheCheckpointBeforeADamagedOneAndNameIt() throws IOException {
    worker.refuse(ExportRequest.class, ErrorCode.STORAGE, "no space left on device");
    run();
    worker.relent(ExportRequest.class);
    String newest = checkpoints().getLast();
    Files.writeString(folder().resolve("checkpoints").resolve(newest).resolve("session"), "torn");

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.DONE);
    assertThat(all(RunEvent.Recovered.class).getLast().reason()).contains(newest + " is damaged");
    assertThat(worker.all(RestoreRequest.class)).hasSize(2);
    assertThat(folder().resolve("checkpoints").resolve(newest + ".damaged")).exists();
  }

  @Test
  void shouldNotSetANewerCheckpointAside() throws IOException {
    worker.refuse(ExportRequest.class, ErrorCode.STORAGE, "no space left on device");
    run();
    worker.relent(ExportRequest.class);
    List<String> kept = checkpoints();
    worker.refuse(RestoreRequest.class, ErrorCode.NEWER_STATE, "its format is 4");

    RunEnd paused = run();

    assertThat(paused.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(paused.code()).isEqualTo(RunException.NEWER_STATE);
    assertThat(paused.reason()).contains("its format is 4");
    assertThat(checkpoints()).isEqualTo(kept);

    worker.relent(RestoreRequest.class);
    assertThat(run().status()).isEqualTo(RunStatus.DONE);
  }

  @Test
  void shouldRemoveWhatAKillLeftBehind() throws IOException {
    Files.createDirectories(folder().resolve("checkpoints/.0002-000009-g1.3f"));
    Files.createDirectories(folder().resolve("checkpoints/0002-000009-g1"));

    run();

    assertThat(checkpoints()).hasSize(2).doesNotContain(".0002-000009-g1.3f", "0002-000009-g1");
  }
}
