package dev.vard.run;

import dev.vard.reward.RewardMetrics;
import dev.vard.run.RunEvent.PolicyMetrics;
import dev.vard.run.RunEvent.TimestepQuality;
import dev.vard.run.RunEvent.ValueMetrics;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What is known of the iteration in hand.
 *
 * @param rewards that it learns from; empty before they are there
 * @param scoring how the last of them were had
 * @param quality of the value network, before the fit
 * @param value empty before the fit
 * @param policy empty before the policy phase
 * @param seconds of its phases so far
 */
public record IterationMetrics(
    List<Double> rewards,
    RewardMetrics scoring,
    List<TimestepQuality> quality,
    Optional<ValueMetrics> value,
    Optional<PolicyMetrics> policy,
    PhaseSeconds seconds) {

  static final IterationMetrics NONE =
      new IterationMetrics(
          List.of(),
          RewardMetrics.NONE,
          List.of(),
          Optional.empty(),
          Optional.empty(),
          PhaseSeconds.NONE);

  /** With more rewards. */
  IterationMetrics with(List<Double> more, RewardMetrics scoring) {
    List<Double> all = new ArrayList<>(rewards);
    all.addAll(more);
    return new IterationMetrics(List.copyOf(all), scoring, quality, value, policy, seconds);
  }

  IterationMetrics with(List<TimestepQuality> quality) {
    return new IterationMetrics(rewards, scoring, quality, value, policy, seconds);
  }

  IterationMetrics with(ValueMetrics value) {
    return new IterationMetrics(rewards, scoring, quality, Optional.of(value), policy, seconds);
  }

  IterationMetrics with(PolicyMetrics policy) {
    return new IterationMetrics(rewards, scoring, quality, value, Optional.of(policy), seconds);
  }

  IterationMetrics after(PhaseSeconds more) {
    return new IterationMetrics(rewards, scoring, quality, value, policy, seconds.plus(more));
  }
}
