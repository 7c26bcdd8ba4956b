package dev.vard.worker;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A real Stable Diffusion pipeline with random weights: 32x32 images, 4x8x8 latents. Made once for
 * all tests.
 */
public final class TinyModel {
  private static final Path FOLDER = make();

  private TinyModel() {}

  public static Path folder() {
    return FOLDER;
  }

  private static Path make() {
    try {
      Path folder = Files.createTempDirectory("vard-tiny-sd");
      int exit =
          WorkerEnvironment.find()
              .process("-m", "vard_worker.testing", "tiny-sd", folder.toString())
              .inheritIO()
              .start()
              .waitFor();
      if (exit != 0) {
        throw new IllegalStateException("vard_worker.testing ended with exit code " + exit);
      }
      return folder;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
