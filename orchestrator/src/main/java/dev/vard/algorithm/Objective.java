package dev.vard.algorithm;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What the policy is improved by: an objective that the worker has registered, and what it takes,
 * by name. The worker refuses kinds and names that it does not know, what is missing, and what is
 * out of its bounds.
 *
 * @param kind as {@code vard} or {@code clipped-ratio}
 * @param numbers as {@code clip}
 * @param series of one number for each of the action's trajectories, in their order, as {@code
 *     advantage}
 */
public record Objective(
    String kind, Map<String, Double> numbers, Map<String, List<Double>> series) {

  /**
   * @throws NotFiniteException for a NaN or an infinity, by its name
   */
  public Objective {
    numbers.forEach((name, number) -> NotFiniteException.finite(number, "the " + name));
    series.forEach(
        (name, values) -> {
          for (int i = 0; i < values.size(); i++) {
            NotFiniteException.finite(values.get(i), "the " + name + " of trajectory " + i);
          }
        });
    // Sorted, so that the same objective is the same request.
    numbers = Collections.unmodifiableMap(new TreeMap<>(numbers));
    TreeMap<String, List<Double>> copies = new TreeMap<>();
    series.forEach((name, values) -> copies.put(name, List.copyOf(values)));
    series = Collections.unmodifiableMap(copies);
  }

  /** One that takes nothing. */
  static Objective of(String kind) {
    return new Objective(kind, Map.of(), Map.of());
  }
}
