package dev.vard.algorithm;

import dev.vard.spec.KlSpec;
import java.util.List;

/**
 * Moves η so that the policy's KL to the pretrained model comes near a budget and stays below it: multiplicatively, as
 * in adaptive-KL PPO (Schulman et al., 2017), but by the KL that the next phase will reach if it goes on as it went. With
 * a fixed weight it does nothing.
 *
 * <p>It is quick to raise η and slow to lower it. A policy that has just begun to move has a small KL because it is
 * young, not because η is large; lowering η then would be paid for a few iterations later, when the KL, which grows with
 * the square of the way gone, overshoots.
 */
final class KlController {
  /** The first η costs so much normalised reward for the whole budget. */
  static final double START_COST = 0.75;

  /** A budget is a bound: the controller aims so far below it. */
  static final double AIM = 0.85;

  static final double MOST_RISE = 2.0;
  static final double MOST_FALL = 1.15;

  /** η stays within these, so that a long time below (or above) the budget is soon made up for. */
  static final double LEAST_WEIGHT = 1.0e-5;

  static final double MOST_WEIGHT = 1.0e3;

  private final KlSpec spec;

  KlController(KlSpec spec) {
    this.spec = spec;
  }

  /** Before anything was measured. */
  KlState start() {
    return switch (spec) {
      case KlSpec.KlBudget(double budget) -> new KlState(bounded(START_COST / budget), 0);
      case KlSpec.KlWeight(double weight) -> new KlState(weight, 0);
    };
  }

  /**
   * After a policy phase.
   *
   * @param state of that phase
   * @param kls its steps' estimates in nats per trajectory; the second half counts, for it is nearer to what is sampled
   *     next
   */
  KlState next(KlState state, List<Double> kls) {
    double kl =
        kls.subList(kls.size() / 2, kls.size()).stream()
            .mapToDouble(Double::doubleValue)
            .average()
            .orElseThrow(() -> new IllegalArgumentException("a policy phase without a step"));
    return switch (spec) {
      case KlSpec.KlBudget(double budget) -> {
        double expected = kl + Math.max(0, kl - state.kl());
        double change = Math.clamp(expected / (AIM * budget), 1 / MOST_FALL, MOST_RISE);
        yield new KlState(bounded(state.weight() * change), kl);
      }
      case KlSpec.KlWeight(double weight) -> new KlState(weight, kl);
    };
  }

  private static double bounded(double weight) {
    return Math.clamp(weight, LEAST_WEIGHT, MOST_WEIGHT);
  }
}
