package dev.vard.serve;

import dev.vard.serve.Runs.ArtifactView;
import dev.vard.serve.Runs.Content;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.StreamSupport;

/**
 * The files of one run that its owner may see: regular ones below its folder. Hidden ones are
 * unfinished, and links are not followed: nothing that a run writes makes any.
 */
final class RunFiles {
  private static final Map<String, String> TYPES =
      Map.of(
          "png", "image/png",
          "json", "application/json",
          "jsonl", "application/x-ndjson",
          "yaml", "application/yaml",
          "html", "text/html; charset=utf-8",
          "log", "text/plain; charset=utf-8",
          "txt", "text/plain; charset=utf-8");

  private final Path root;

  RunFiles(Path root) {
    this.root = root;
  }

  /** All of them, by path. */
  List<ArtifactView> list() throws IOException {
    List<ArtifactView> files = new ArrayList<>();
    if (!Files.isDirectory(root)) {
      return files;
    }
    Files.walkFileTree(
        root,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes) {
            return !folder.equals(root) && hidden(folder)
                ? FileVisitResult.SKIP_SUBTREE
                : FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
            if (attributes.isRegularFile() && !hidden(file)) {
              files.add(view(root.relativize(file), attributes));
            }
            return FileVisitResult.CONTINUE;
          }

          /** The run goes on beside us: old checkpoints vanish. */
          @Override
          public FileVisitResult visitFileFailed(Path file, IOException failure) {
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path folder, IOException failure) {
            return FileVisitResult.CONTINUE;
          }
        });
    files.sort(Comparator.comparing(ArtifactView::path));
    return files;
  }

  /**
   * Opens a file as it is now: what is appended meanwhile is not given.
   *
   * @param path as {@link #list} has it
   * @return empty if there is no such file, or none that may be seen
   */
  Optional<Content> open(String path) throws IOException {
    Optional<Path> file = inside(path);
    if (file.isEmpty()) {
      return Optional.empty();
    }
    BasicFileAttributes attributes =
        Files.readAttributes(file.get(), BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    ArtifactView view = view(Path.of(path), attributes);
    return Optional.of(
        new Content(
            view,
            new Start(Files.newInputStream(file.get(), LinkOption.NOFOLLOW_LINKS), view.bytes())));
  }

  /** The file that a path names, if the path leads down and over no link. */
  private Optional<Path> inside(String path) throws IOException {
    Path relative;
    try {
      relative = Path.of(path);
    } catch (InvalidPathException e) {
      return Optional.empty();
    }
    boolean plain =
        !relative.isAbsolute()
            && relative.toString().equals(path)
            && StreamSupport.stream(relative.spliterator(), false)
                .noneMatch(part -> part.toString().startsWith("."));
    Path file = root.resolve(relative);
    if (!plain || !Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
      return Optional.empty();
    }
    Path real = file.toRealPath();
    return real.equals(root.toRealPath().resolve(relative)) ? Optional.of(real) : Optional.empty();
  }

  private static boolean hidden(Path file) {
    return file.getFileName().toString().startsWith(".");
  }

  private static ArtifactView view(Path relative, BasicFileAttributes attributes) {
    String name = relative.getFileName().toString();
    String extension = name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT);
    return new ArtifactView(
        relative.toString().replace(relative.getFileSystem().getSeparator(), "/"),
        attributes.size(),
        TYPES.getOrDefault(extension, "application/octet-stream"),
        attributes.lastModifiedTime().toInstant());
  }

  /** The first bytes of a file. */
  private static final class Start extends FilterInputStream {
    private long left;

    Start(InputStream in, long bytes) {
      super(in);
      this.left = bytes;
    }

    @Override
    public int read() throws IOException {
      int value = left == 0 ? -1 : super.read();
      left -= value < 0 ? 0 : 1;
      return value;
    }

    @Override
    public int read(byte[] into, int offset, int length) throws IOException {
      if (left == 0 && length > 0) {
        return -1;
      }
      int count = super.read(into, offset, (int) Math.min(length, left));
      left -= Math.max(count, 0);
      return count;
    }

    @Override
    public long skip(long count) throws IOException {
      long skipped = super.skip(Math.min(count, left));
      left -= skipped;
      return skipped;
    }

    @Override
    public int available() throws IOException {
      return (int) Math.min(super.available(), left);
    }

    @Override
    public boolean markSupported() {
      return false;
    }
  }
}
