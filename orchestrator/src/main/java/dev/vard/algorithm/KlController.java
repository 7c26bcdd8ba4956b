package dev.vard.algorithm;

import dev.vard.spec.KlSpec;
import java.util.List;

/**
 * Moves η so that the policy's KL to the pretrained model stays near a budget: multiplicatively, as in adaptive-KL
 * PPO (Schulman et al., 2017). With a fixed weight it does nothing.
 */
final class KlController {
  static final double START_WEIGHT = 0.02;

  /** How strongly η answers: η ← η · (KL / budget)^GAIN. */
  static final double GAIN = 1.0;

  /** At most this factor up, and its inverse down, in one iteration. */
  static final double MOST_CHANGE = 2.0;

  /** η stays within these, so that a long time below (or above) the budget is soon made up for. */
  static final double LEAST_WEIGHT = 1.0e-5;

  static final double MOST_WEIGHT = 1.0e3;

  private final KlSpec spec;

  KlController(KlSpec spec) {
    this.spec = spec;
  }

  /** η before anything was measured. */
  double start() {
    return switch (spec) {
      case KlSpec.KlBudget budget -> START_WEIGHT;
      case KlSpec.KlWeight(double weight) -> weight;
    };
  }

  /**
   * η after a policy phase.
   *
   * @param weight η of that phase
   * @param kls its steps' estimates in nats per trajectory; the second half counts, for it is nearer to what is sampled
   *     next
   */
  double next(double weight, List<Double> kls) {
    return switch (spec) {
      case KlSpec.KlBudget(double budget) -> {
        double kl =
            kls.subList(kls.size() / 2, kls.size()).stream()
                .mapToDouble(Double::doubleValue)
                .average()
                .orElseThrow(() -> new IllegalArgumentException("a policy phase without a step"));
        double change = Math.pow(kl / budget, GAIN);
        double bounded = Math.clamp(change, 1 / MOST_CHANGE, MOST_CHANGE);
        yield Math.clamp(weight * bounded, LEAST_WEIGHT, MOST_WEIGHT);
      }
      case KlSpec.KlWeight fixed -> weight;
    };
  }
}
