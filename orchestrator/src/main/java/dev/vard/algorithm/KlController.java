package dev.vard.algorithm;

import dev.vard.spec.KlSpec;
import java.util.List;

/**
 * Moves η so that the policy's KL to the pretrained model comes near a budget and stays below it:
 * multiplicatively, as in adaptive-KL PPO (Schulman et al., 2017). With a fixed weight it does
 * nothing.
 *
 * <p>While the KL is below its aim and still grows, η stays. A policy that has just begun to move
 * has a small KL because it is young, not because η is large; lowering η then would be paid for a
 * few iterations later.
 */
final class KlController {
  /**
   * The first η makes the whole budget cost so many deviations of the reward; by experience about
   * right.
   */
  static final double START_COST = 2.0;

  /**
   * A budget is a bound, and the KL moves up and down from phase to phase: the controller aims so
   * far below.
   */
  static final double AIM = 0.9;

  /**
   * η answers to the relative error with this exponent. At the optimum of a linear reward - η · KL
   * the KL falls as 1/η², which asks for 0.5; real rewards flatten out, and were seen to ask for a
   * little more.
   */
  static final double EXPONENT = 0.6;

  static final double MOST_RISE = 1.5;
  static final double MOST_FALL = 1.3;

  /** Growth by more than this counts: less is the noise of an estimate. */
  static final double GROWTH = 1.1;

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
   * @param kls its steps' estimates in nats per trajectory; the second half counts, for it is
   *     nearer to what is sampled next
   */
  KlState next(KlState state, List<Double> kls) {
    double kl =
        kls.subList(kls.size() / 2, kls.size()).stream()
            .mapToDouble(Double::doubleValue)
            .average()
            .orElseThrow(() -> new IllegalArgumentException("a policy phase without a step"));
    return switch (spec) {
      case KlSpec.KlBudget(double budget) -> {
        double change = Math.pow(kl / (AIM * budget), EXPONENT);
        boolean young = change < 1 && kl > GROWTH * state.kl();
        double factor = young ? 1 : Math.clamp(change, 1 / MOST_FALL, MOST_RISE);
        yield new KlState(bounded(state.weight() * factor), kl);
      }
      case KlSpec.KlWeight(double weight) -> new KlState(weight, kl);
    };
  }

  private static double bounded(double weight) {
    return Math.clamp(weight, LEAST_WEIGHT, MOST_WEIGHT);
  }
}
