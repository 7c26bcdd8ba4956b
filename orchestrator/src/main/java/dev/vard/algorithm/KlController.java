package dev.vard.algorithm;

import dev.vard.spec.KlSpec;
import java.util.List;
import java.util.Optional;

/**
 * Moves η so that the policy's KL to the pretrained model comes near a budget and stays below it:
 * multiplicatively, as in adaptive-KL PPO (Schulman et al., 2017). With a fixed weight it does
 * nothing.
 *
 * <p>With probes the budget is enforced: the worker moves η within the phase, and scales the
 * adapter back where fresh trajectories' KL is above the aim. A phase's own estimate, on states
 * that an earlier policy drew, was seen to be four times too low.
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

  /** The same where the budget is enforced, and so need not be approached with care. */
  static final double ENFORCED_START_COST = 0.4;

  /** The share of the budget that an enforced one is held to: what measures it has an error. */
  static final double ENFORCED_AIM = 0.97;

  /** The share of the budget that the last iteration's policy is scaled up to, if it is below. */
  static final double LEAST_AT_END = 0.93;

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
      case KlSpec.KlBudget(double budget, int probes) ->
          new KlState(bounded((probes > 0 ? ENFORCED_START_COST : START_COST) / budget), 0);
      case KlSpec.KlWeight(double weight) -> new KlState(weight, 0);
    };
  }

  /**
   * After a policy phase.
   *
   * @param state of that phase
   * @param improved its steps' estimates in nats per trajectory; the second half counts, for it is
   *     nearer to what is sampled next. What was measured on fresh trajectories counts more.
   */
  KlState next(KlState state, Outcome.Improved improved) {
    List<Double> kls = improved.kls();
    double kl =
        kls.subList(kls.size() / 2, kls.size()).stream()
            .mapToDouble(Double::doubleValue)
            .average()
            .orElseThrow(() -> new IllegalArgumentException("a policy phase without a step"));
    return switch (spec) {
      case KlSpec.KlBudget(double budget, int probes) when probes > 0 -> {
        // Above the aim the worker has raised η itself, step by step.
        double measured = improved.probed().isEmpty() ? kl : improved.probed().getLast();
        double factor = Math.min(1, change(measured, ENFORCED_AIM * budget, state));
        yield new KlState(bounded(improved.klWeight() * factor), measured);
      }
      case KlSpec.KlBudget(double budget, int probes) ->
          new KlState(bounded(state.weight() * change(kl, AIM * budget, state)), kl);
      case KlSpec.KlWeight(double weight) -> new KlState(weight, kl);
    };
  }

  /** What η is multiplied by. */
  private static double change(double kl, double aim, KlState before) {
    double change = Math.pow(kl / aim, EXPONENT);
    boolean young = change < 1 && kl > GROWTH * before.kl();
    return young ? 1 : Math.clamp(change, 1 / MOST_FALL, MOST_RISE);
  }

  /** What an iteration's policy is held to. */
  Optional<Action.KlBudget> budget(Schedule schedule, int iteration) {
    return switch (spec) {
      case KlSpec.KlBudget(double budget, int probes) when probes > 0 -> {
        boolean last = iteration == schedule.iterations();
        yield Optional.of(
            new Action.KlBudget(
                ENFORCED_AIM * budget,
                last ? LEAST_AT_END * budget : 0,
                schedule.probes(iteration, probes)));
      }
      case KlSpec other -> Optional.empty();
    };
  }

  private static double bounded(double weight) {
    return Math.clamp(weight, LEAST_WEIGHT, MOST_WEIGHT);
  }
}
