package dev.vard.run;

import dev.vard.run.RunEvent.PolicyMetrics;
import dev.vard.run.RunEvent.TimestepQuality;
import dev.vard.run.RunEvent.ValueMetrics;
import java.util.List;
import java.util.Optional;

/**
 * What is known of the iteration in hand.
 *
 * @param rewards of its samples; empty before they are scored
 * @param quality of the value network, before the fit
 * @param value empty before the fit
 * @param policy empty before the policy phase
 * @param seconds of its phases so far
 */
public record IterationMetrics(
    List<Double> rewards,
    List<TimestepQuality> quality,
    Optional<ValueMetrics> value,
    Optional<PolicyMetrics> policy,
    PhaseSeconds seconds) {

  static final IterationMetrics NONE =
      new IterationMetrics(
          List.of(), List.of(), Optional.empty(), Optional.empty(), PhaseSeconds.NONE);

  /** Of an iteration whose samples were just scored. */
  static IterationMetrics of(List<Double> rewards) {
    return new IterationMetrics(
        rewards, List.of(), Optional.empty(), Optional.empty(), PhaseSeconds.NONE);
  }

  IterationMetrics with(List<TimestepQuality> quality) {
    return new IterationMetrics(rewards, quality, value, policy, seconds);
  }

  IterationMetrics with(ValueMetrics value) {
    return new IterationMetrics(rewards, quality, Optional.of(value), policy, seconds);
  }

  IterationMetrics with(PolicyMetrics policy) {
    return new IterationMetrics(rewards, quality, value, Optional.of(policy), seconds);
  }

  IterationMetrics after(PhaseSeconds more) {
    return new IterationMetrics(rewards, quality, value, policy, seconds.plus(more));
  }
}
