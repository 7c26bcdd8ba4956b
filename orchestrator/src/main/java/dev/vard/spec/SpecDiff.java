package dev.vard.spec;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** Which keys of a specification's text were changed. Comments and layout do not count. */
public final class SpecDiff {
  /** Characters of a value that are shown. */
  private static final int SHOWN = 40;

  private SpecDiff() {}

  /**
   * @return each change, as {@code sampler.steps: 20 → 30}; of a text that is no YAML any more, why
   */
  public static List<String> between(String before, String after) {
    List<SpecProblem> problems = new ArrayList<>();
    Map<String, String> was = values(before, new ArrayList<>());
    Map<String, String> is = values(after, problems);
    if (!problems.isEmpty()) {
      return List.of(problems.getFirst().message());
    }
    TreeSet<String> keys = new TreeSet<>(was.keySet());
    keys.addAll(is.keySet());
    return keys.stream()
        .filter(key -> !was.getOrDefault(key, "").equals(is.getOrDefault(key, "")))
        .map(key -> key + ": " + shown(was.get(key)) + " → " + shown(is.get(key)))
        .toList();
  }

  private static Map<String, String> values(String text, List<SpecProblem> problems) {
    Map<String, String> values = new LinkedHashMap<>();
    new TreeParser(new Origin("", 0), problems)
        .parse(text)
        .ifPresent(tree -> add(tree, "", values));
    return values;
  }

  private static void add(Tree tree, String path, Map<String, String> values) {
    switch (tree) {
      case Tree.Scalar scalar -> values.put(path, scalar.text());
      case Tree.Sequence sequence
          when sequence.items().stream().allMatch(Tree.Scalar.class::isInstance) ->
          values.put(
              path,
              sequence.items().stream()
                  .map(item -> ((Tree.Scalar) item).text())
                  .toList()
                  .toString());
      case Tree.Sequence sequence -> {
        for (int i = 0; i < sequence.items().size(); i++) {
          add(sequence.items().get(i), path + "[" + i + "]", values);
        }
      }
      case Tree.Mapping mapping ->
          mapping
              .entries()
              .forEach((key, value) -> add(value, path.isEmpty() ? key : path + "." + key, values));
    }
  }

  private static String shown(@Nullable String value) {
    if (value == null) {
      return "nothing";
    }
    return value.length() > SHOWN ? value.substring(0, SHOWN) + "…" : value;
  }
}
