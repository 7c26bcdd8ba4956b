package dev.vard.run;

import dev.vard.files.PrivateFiles;
import dev.vard.reward.Image;
import dev.vard.reward.RewardQuery;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * Images that a checkpoint lies behind and that have no scores yet: whoever goes on from it cannot
 * have them drawn again. Pixel for pixel, in the run's folder {@code pending}.
 */
final class PendingImages {
  private final Path folder;

  /**
   * @param folder need not be there
   */
  PendingImages(Path folder) {
    this.folder = folder;
  }

  /**
   * Keeps a round's unanswered queries.
   *
   * @throws RunException STORAGE
   */
  void keep(int round, Map<Integer, RewardQuery> queries) {
    try {
      for (Map.Entry<Integer, RewardQuery> query : queries.entrySet()) {
        Path file = file(round, query.getKey());
        if (!Files.exists(file)) {
          PrivateFiles.createFolders(Objects.requireNonNull(file.getParent()));
          Path part = file.resolveSibling(file.getFileName() + ".part");
          query.getValue().image().writePng(part);
          Files.move(
              part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        }
      }
    } catch (IOException e) {
      throw RunException.storage("images cannot be kept in " + folder + ": " + e, e);
    }
  }

  /**
   * An image that was kept.
   *
   * @throws RunException STORAGE
   */
  Image read(int round, int index) {
    Path file = file(round, index);
    try {
      return Image.read(file);
    } catch (IOException e) {
      throw RunException.storage(
          "an image that waits for its score cannot be read: " + file + ": " + e, e);
    }
  }

  /** Forgets a round that was answered. */
  void forget(int round) {
    Path images = folder(round);
    try (Stream<Path> files = Files.list(images)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
      Files.delete(images);
    } catch (NoSuchFileException e) {
      // Nothing of it was kept.
    } catch (IOException e) {
      throw RunException.storage(images + " cannot be removed: " + e, e);
    }
  }

  private Path folder(int round) {
    return folder.resolve("%04d".formatted(round));
  }

  private Path file(int round, int index) {
    return folder(round).resolve("%05d.png".formatted(index));
  }
}
