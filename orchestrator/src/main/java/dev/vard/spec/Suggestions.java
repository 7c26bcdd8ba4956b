package dev.vard.spec;

import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** What somebody may have meant by a key that there is not. */
final class Suggestions {
  private Suggestions() {}

  /** Whether keys stand below this path. */
  static boolean isSection(String path) {
    return Keys.ALL.stream().anyMatch(key -> key.path().startsWith(path + "."));
  }

  /** The keys and sections right below a path, as {@code kind, steps, guidance}. */
  static String childrenOf(String path) {
    return children(path).collect(Collectors.joining(", "));
  }

  /** "did you mean …?" where something is near, else what there is. */
  static String cure(String prefix, String key) {
    Optional<String> near =
        children(prefix)
            .filter(child -> Math.abs(key.length() - child.length()) <= child.length())
            .filter(child -> distance(key, child) <= Math.max(1, child.length() / 3))
            .min(Comparator.comparingInt(child -> distance(key, child)));
    if (near.isPresent()) {
      return "did you mean " + (prefix.isEmpty() ? near.get() : prefix + "." + near.get()) + "?";
    }
    List<String> elsewhere =
        Keys.ALL.stream()
            .filter(other -> other.segments().getLast().equals(key))
            .map(Key::path)
            .toList();
    return elsewhere.isEmpty()
        ? "there are " + childrenOf(prefix)
        : "did you mean " + String.join(" or ", elsewhere) + "?";
  }

  private static Stream<String> children(String path) {
    String prefix = path.isEmpty() ? "" : path + ".";
    return Keys.ALL.stream()
        .map(Key::path)
        .filter(other -> other.startsWith(prefix))
        .map(other -> other.substring(prefix.length()).split("\\.")[0])
        .distinct();
  }

  /** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
  private static int distance(String a, String b) {
    int[][] edits = new int[a.length() + 1][b.length() + 1];
    for (int i = 0; i <= a.length(); i++) {
      for (int j = 0; j <= b.length(); j++) {
        if (i == 0 || j == 0) {
          edits[i][j] = i + j;
          continue;
        }
        int replace = edits[i - 1][j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        edits[i][j] = Math.min(replace, 1 + Math.min(edits[i - 1][j], edits[i][j - 1]));
        if (i > 1
            && j > 1
            && a.charAt(i - 1) == b.charAt(j - 2)
            && a.charAt(i - 2) == b.charAt(j - 1)) {
          edits[i][j] = Math.min(edits[i][j], edits[i - 2][j - 2] + 1);
        }
      }
    }
    return edits[a.length()][b.length()];
  }
}
