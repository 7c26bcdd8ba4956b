package dev.vard.worker;

import static dev.vard.worker.TestSession.PATIENCE;
import static dev.vard.worker.TestSession.openRequest;

import dev.vard.proto.v1.ErrorCode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Models and checkpoints that are not there, damaged, or unsafe. */
abstract class FilesContract extends WorkerBehaviour {
  FilesContract(WorkerClient client) {
    super(client);
  }

  @Test
  void shouldRefuseAModelThatIsNotThere(@TempDir Path folder) {
    assertRefused(
        ErrorCode.MODEL_NOT_LOADABLE,
        () -> client.open(openRequest(folder.resolve("nothing")), PATIENCE));
  }

  @Test
  void shouldRefuseAModelWithAWeightThatIsNotANumber(@TempDir Path folder) throws IOException {
    Path model = TinyModel.withNan(folder.resolve("model"));

    assertRefused(
        ErrorCode.MODEL_NOT_LOADABLE,
        "model.checkpoint",
        () -> client.open(openRequest(model), PATIENCE));
  }

  @Test
  void shouldRefuseAModelWhoseWeightsArePickles(@TempDir Path folder) throws IOException {
    Path model = TinyModel.copy(TinyModel.folder(), folder.resolve("model"));
    Path unet = model.resolve("unet");
    Files.move(
        unet.resolve("diffusion_pytorch_model.safetensors"),
        unet.resolve("diffusion_pytorch_model.bin"));

    assertRefused(ErrorCode.UNSAFE_CHECKPOINT, () -> client.open(openRequest(model), PATIENCE));
  }

  @Test
  void shouldRefuseACheckpointThatIsNotThere(@TempDir Path folder) {
    assertRefused(ErrorCode.CHECKPOINT_NOT_FOUND, "path", () -> restore(folder.resolve("nothing")));
  }

  @Test
  void shouldRefuseADamagedCheckpoint(@TempDir Path folder) throws IOException {
    try (var session = TestSession.open(client)) {
      session.save(folder.resolve("whole"));
      Path flipped = TinyModel.copy(folder.resolve("whole"), folder.resolve("flipped"));
      byte[] bytes = Files.readAllBytes(flipped.resolve("adapter.safetensors"));
      bytes[bytes.length - 1] ^= 1;
      Files.write(flipped.resolve("adapter.safetensors"), bytes);
      Path cut = TinyModel.copy(folder.resolve("whole"), folder.resolve("cut"));
      Files.write(
          cut.resolve("optimizers.safetensors"), new byte[1], StandardOpenOption.TRUNCATE_EXISTING);
      Path incomplete = TinyModel.copy(folder.resolve("whole"), folder.resolve("incomplete"));
      Files.delete(incomplete.resolve("session.json"));

      assertRefused(ErrorCode.CORRUPT_CHECKPOINT, () -> restore(flipped));
      assertRefused(ErrorCode.CORRUPT_CHECKPOINT, () -> restore(cut));
      assertRefused(ErrorCode.CORRUPT_CHECKPOINT, () -> restore(incomplete));

      assertUsable(session, 0);
    }
  }

  @Test
  void shouldRefuseACheckpointThatHoldsAPickle(@TempDir Path folder) throws IOException {
    try (var session = TestSession.open(client)) {
      session.save(folder.resolve("checkpoint"));
      Files.write(folder.resolve("checkpoint/adapter.pt"), new byte[] {(byte) 0x80, 4, '.'});

      assertRefused(ErrorCode.UNSAFE_CHECKPOINT, () -> restore(folder.resolve("checkpoint")));

      assertUsable(session, 0);
    }
  }

  @Test
  void shouldRefuseToWriteACheckpointTwice(@TempDir Path folder) {
    try (var session = TestSession.open(client)) {
      session.save(folder.resolve("checkpoint"));

      assertRefused(ErrorCode.STORAGE, "path", () -> session.save(folder.resolve("checkpoint")));

      assertUsable(session, 0);
    }
  }
}
