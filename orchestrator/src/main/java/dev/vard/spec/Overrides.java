package dev.vard.spec;

import dev.vard.spec.SpecProblem.Code;
import java.util.List;
import java.util.regex.Pattern;

/** Values that stand on the command line, each as {@code algorithm.iterations=4}. */
final class Overrides {
  /** Bounded: the pattern's machine, and what comes after it, call themselves for each part. */
  private static final Pattern KEY_PATH = Pattern.compile("[^.=]{1,99}(\\.[^.=]{1,99}){0,9}");

  private final List<String> overrides;
  private final List<SpecProblem> problems;

  /**
   * @param problems what is wrong is added here
   */
  Overrides(List<String> overrides, List<SpecProblem> problems) {
    this.overrides = overrides;
    this.problems = problems;
  }

  /** What errors name as the origin of each override's value, in their order. */
  List<String> sources() {
    return overrides.stream().map(Overrides::source).toList();
  }

  /** The document with the values set. */
  Tree.Mapping on(Tree.Mapping root) {
    Tree.Mapping changed = root;
    for (int i = 0; i < overrides.size(); i++) {
      String override = overrides.get(i);
      Origin origin = new Origin(source(override), 0);
      if (!KEY_PATH.matcher(key(override)).matches()) {
        add(origin, Code.BAD_YAML, "this sets nothing; give key=value, as sampler.steps=20");
        continue;
      }
      for (String later : overrides.subList(i + 1, overrides.size())) {
        if ((key(override) + ".").startsWith(key(later) + ".")) {
          add(origin, Code.CONFLICT, "does nothing, for " + later + " comes later; remove one");
        }
      }
      int before = problems.size();
      Tree value =
          new TreeParser(origin, problems)
              .parse(override.substring(override.indexOf('=') + 1))
              .orElse(new Tree.Scalar(origin, "", Tree.Scalar.Kind.NOTHING));
      if (problems.size() == before) {
        changed = changed.with(List.of(key(override).split("\\.")), value);
      }
    }
    return changed;
  }

  private static String source(String override) {
    return "--set " + override;
  }

  /** Empty where there is none. */
  private static String key(String override) {
    return override.substring(0, Math.max(0, override.indexOf('=')));
  }

  private void add(Origin origin, Code code, String message) {
    problems.add(new SpecProblem(code, origin, "", message));
  }
}
