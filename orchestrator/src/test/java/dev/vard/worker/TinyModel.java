package dev.vard.worker;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.stream.Stream;

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

  /**
   * A copy with a NaN as the last weight of its VAE's file: a safetensors file ends in its tensors'
   * little-endian numbers.
   */
  public static Path withNan(Path copy) throws IOException {
    copy(FOLDER, copy);
    Path weights = copy.resolve("vae/diffusion_pytorch_model.safetensors");
    try (FileChannel channel = FileChannel.open(weights, StandardOpenOption.WRITE)) {
      ByteBuffer nan = ByteBuffer.allocate(Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
      channel.write(nan.putFloat(Float.NaN).flip(), channel.size() - Float.BYTES);
    }
    return copy;
  }

  /** A folder with all that is in it. */
  static Path copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(from.relativize(file).toString()));
      }
    }
    return to;
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
