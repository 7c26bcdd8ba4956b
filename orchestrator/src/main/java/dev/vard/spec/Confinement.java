package dev.vard.spec;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * What a specification that somebody else sent may ask of this machine. It opens no file but a
 * model in one of these folders, brings its own prompts, and leaves the worker to whoever runs it.
 *
 * @param modelRoots folders that {@code model.checkpoint} may lie in. Relative names are looked for
 *     in a root and beside it, so that {@code checkpoints/emoji-sd} means the same as in the
 *     project's folder
 * @param allowHub whether {@code model.checkpoint} may be a hub id
 * @param maxPrompts most prompts
 * @param rewards what may be asked for scores, apart from what is built in: {@code java:CLASS},
 *     {@code python:MODULE:NAME}, {@code grpc:HOST:PORT} or a URL
 */
public record Confinement(
    List<Path> modelRoots, boolean allowHub, int maxPrompts, Set<String> rewards) {

  private static final Pattern ADDRESS =
      Pattern.compile("java:[^\\s:]+|python:[^\\s:]+:[^\\s:]+|grpc:\\S+:\\d+|https?://\\S+");

  public Confinement {
    rewards = Set.copyOf(rewards);
    for (String reward : rewards) {
      if (!ADDRESS.matcher(reward).matches()) {
        throw new IllegalArgumentException(
            "the allowed reward '"
                + reward
                + "' can match nothing: give java:CLASS, python:MODULE:NAME, grpc:HOST:PORT or a"
                + " URL");
      }
    }
    modelRoots = modelRoots.stream().map(root -> root.toAbsolutePath().normalize()).toList();
  }

  /** Under what names an operator allows a reward; empty for those that anybody may use. */
  static List<String> addresses(RewardSource source) {
    return switch (source) {
      case RewardSource.JavaClass java -> List.of("java:" + java.className());
      case RewardSource.Python python -> List.of("python:" + python.function());
      case RewardSource.Http http -> List.of(http.url().toString());
      case RewardSource.Grpc grpc ->
          grpc.endpoints().stream().map(endpoint -> "grpc:" + endpoint).toList();
      case RewardSource.JpegCompressibility jpeg -> List.of();
      case RewardSource.JpegIncompressibility jpeg -> List.of();
      case RewardSource.Onnx onnx -> List.of();
      case RewardSource.Supplied supplied -> List.of();
    };
  }

  /**
   * The folder that a name stands for; empty if there is none, or none that is allowed: the same to
   * whoever asks, who must not learn what else there is.
   */
  Optional<Path> model(String name) {
    return find(name, Files::isDirectory);
  }

  /** The file that a name stands for, likewise. */
  Optional<Path> file(String name) {
    return find(name, Files::isRegularFile);
  }

  private Optional<Path> find(String name, Predicate<Path> kind) {
    return plain(name)
        .flatMap(
            path ->
                modelRoots.stream()
                    .flatMap(root -> candidates(root, path))
                    .filter(kind)
                    .flatMap(candidate -> allowed(candidate).stream())
                    .findFirst());
  }

  /** Whether the first part of a name is a folder here: then it is not meant for the hub. */
  boolean beginsHere(String name) {
    return plain(name)
        .map(path -> path.getName(0))
        .map(
            first ->
                modelRoots.stream()
                    .flatMap(root -> candidates(root, first))
                    .anyMatch(Files::isDirectory))
        .orElse(true);
  }

  /** A path that leads nowhere but down. */
  private static Optional<Path> plain(String name) {
    try {
      Path path = Path.of(name);
      for (Path part : path) {
        if (part.toString().equals("..") || part.toString().equals(".")) {
          return Optional.empty();
        }
      }
      return path.getNameCount() == 0 ? Optional.empty() : Optional.of(path);
    } catch (InvalidPathException e) {
      return Optional.empty();
    }
  }

  private static Stream<Path> candidates(Path root, Path path) {
    return path.isAbsolute()
        ? Stream.of(path)
        : Stream.of(root.resolve(path), root.resolveSibling(path));
  }

  /** Where something really is, if that is in a root: links may lead anywhere. */
  private Optional<Path> allowed(Path candidate) {
    try {
      Path real = candidate.toRealPath();
      for (Path root : modelRoots) {
        if (Files.isDirectory(root) && real.startsWith(root.toRealPath())) {
          return Optional.of(real);
        }
      }
      return Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }
}
