package dev.vard.run;

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import dev.vard.reward.RewardMetrics;
import dev.vard.spec.Feasibility;
import dev.vard.spec.KlSpec;
import dev.vard.spec.RunSpec;
import dev.vard.statistics.Interval;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.TreeMap;

/**
 * Something that happened in a run. All but {@link PhaseStarted} and {@link Progress} are lines of
 * {@code metrics.jsonl}.
 */
@JsonTypeInfo(use = JsonTypeInfo.Id.NAME, property = "event")
@JsonSubTypes({
  @JsonSubTypes.Type(value = RunEvent.Started.class, name = "started"),
  @JsonSubTypes.Type(value = RunEvent.PhaseStarted.class, name = "phase"),
  @JsonSubTypes.Type(value = RunEvent.Progress.class, name = "progress"),
  @JsonSubTypes.Type(value = RunEvent.Evaluated.class, name = "evaluated"),
  @JsonSubTypes.Type(value = RunEvent.IterationFinished.class, name = "iteration"),
  @JsonSubTypes.Type(value = RunEvent.Finished.class, name = "finished"),
  @JsonSubTypes.Type(value = RunEvent.StateChanged.class, name = "state_changed"),
  @JsonSubTypes.Type(value = RunEvent.Checkpointed.class, name = "checkpointed"),
  @JsonSubTypes.Type(value = RunEvent.Recovered.class, name = "recovered"),
  @JsonSubTypes.Type(value = RunEvent.Warned.class, name = "warned")
})
public sealed interface RunEvent {

  /**
   * What the engine is busy with. An iteration goes through {@code SAMPLE}, {@code SCORE}, {@code
   * VALUE} and {@code POLICY}, as far as its algorithm has them, with a first {@code VALUE} before
   * {@code SCORE} where a part of the fit goes ahead; an evaluation through {@code EVALUATE} alone.
   */
  enum Phase {
    OPEN,
    SAMPLE,
    SCORE,
    VALUE,
    POLICY,
    EVALUATE,
    EXPORT
  }

  /**
   * The first event.
   *
   * @param algorithm {@code vard} or {@code ddpo}
   * @param iterations how many there will be, warm-up included
   * @param samples trajectories, and reward queries, of each iteration
   * @param evaluations how many evaluations there will be, the first and the last included
   * @param evaluationImages images of each evaluation
   * @param klBudget nats per trajectory; empty where the KL weight is fixed
   * @param folder the run's folder
   */
  record Started(
      String runId,
      String name,
      String algorithm,
      long seed,
      int iterations,
      int samples,
      int evaluations,
      int evaluationImages,
      OptionalDouble klBudget,
      Instant time,
      @JsonIgnore Path folder)
      implements RunEvent {

    /** The event of a run as it is specified. */
    public static Started of(RunSpec spec, RunFolder folder, Instant time) {
      return new Started(
          folder.runId(),
          spec.name(),
          spec.algorithm().kind().name().toLowerCase(Locale.ROOT),
          spec.seed(),
          spec.iterations(),
          spec.algorithm().samples(),
          spec.evaluations(),
          spec.evaluate().images(),
          switch (spec.algorithm().kl()) {
            case KlSpec.KlBudget(double budget, int probes) -> OptionalDouble.of(budget);
            case KlSpec.KlWeight weight -> OptionalDouble.empty();
          },
          time,
          folder.root());
    }
  }

  /**
   * A phase begins.
   *
   * @param iteration from 1; 0 before training; of {@code EVALUATE}, the iterations done so far
   */
  record PhaseStarted(int iteration, Phase phase) implements RunEvent {}

  /**
   * Some of a {@code SAMPLE} or {@code EVALUATE} phase's images are here, or some of a {@code
   * SCORE} phase's scores.
   *
   * @param done images or scores that arrived
   * @param total images or scores asked for
   */
  record Progress(int iteration, Phase phase, int done, int total) implements RunEvent {}

  /**
   * The model was looked at on the held-out seeds.
   *
   * @param iteration after how many iterations of training
   * @param rewards of each image, in the order of {@code samples/evaluation.json}; empty for those
   *     that were dropped
   * @param klPerTrajectory nats, mean of {@code kls}
   * @param kls of each image's trajectory, in nats
   * @param scoring how the rewards were had
   */
  record Evaluated(
      int iteration,
      Interval reward,
      List<OptionalDouble> rewards,
      double klPerTrajectory,
      List<Double> kls,
      SampleSeconds seconds,
      RewardMetrics scoring)
      implements RunEvent {}

  /** Seconds of an evaluation: see {@link PhaseSeconds}. */
  record SampleSeconds(double sample, double score, double scoreBusy) {}

  /**
   * An iteration ended that learnt something: the first ones of a run that takes rewards late do
   * not.
   *
   * @param iteration from 1
   * @param phase {@code warmup} while only the value is fitted, else {@code train}
   * @param rewardQueries training queries since the run's start
   * @param reward of the samples that the iteration learnt from, its own or, if rewards may be
   *     late, an earlier one's; the policy drew them before it was improved
   * @param value empty for algorithms without a value function
   * @param policy empty during the warm-up
   * @param scoring how the rewards were had
   */
  record IterationFinished(
      int iteration,
      String phase,
      int rewardQueries,
      Interval reward,
      Optional<ValueMetrics> value,
      Optional<PolicyMetrics> policy,
      PhaseSeconds seconds,
      RewardMetrics scoring)
      implements RunEvent {}

  /**
   * The value network in one iteration.
   *
   * @param byTimestep measured on the iteration's fresh trajectories before they were fitted
   * @param loss mean squared error of the fit's second half, in squared deviations of the reward
   */
  record ValueMetrics(List<TimestepQuality> byTimestep, double loss) {}

  /**
   * The value network at one timestep.
   *
   * @param timestep t; -1 for the finished x_0
   * @param r2 share of the targets' variance explained; NaN where all targets are equal
   * @param mse mean squared error to the normalised reward
   * @param correlation Pearson's; NaN where either is constant
   */
  record TimestepQuality(int timestep, double r2, double mse, double correlation) {}

  /**
   * The policy phase of one iteration: means over the second half of its steps.
   *
   * @param loss objective plus weighted KL
   * @param klPerTrajectory nats
   * @param klWeight η of this phase
   * @param gradientNorm before clipping
   * @param metrics the objective's own, by name, as {@code objective}, its part of the loss, and
   *     {@code clipped}, the share of ratios outside DDPO's clip
   */
  record PolicyMetrics(
      double loss,
      double klPerTrajectory,
      double klWeight,
      double gradientNorm,
      Map<String, Double> metrics) {

    public PolicyMetrics {
      // Sorted, so that the same metrics are the same JSON.
      metrics = Collections.unmodifiableMap(new TreeMap<>(metrics));
    }
  }

  /** The end of a run that went well. */
  record Finished(@JsonUnwrapped RunResult result) implements RunEvent {}

  /**
   * The run moved. One that ends without {@link Finished} ends with this.
   *
   * @param from empty for a run that was just made
   * @param reasonCode as {@code WORKER_UNAVAILABLE}; empty where nothing is wrong
   */
  record StateChanged(Optional<RunStatus> from, RunStatus to, String reasonCode, String reason)
      implements RunEvent {}

  /** The whole state was written to disk. */
  record Checkpointed(int iteration, long bytes, double seconds) implements RunEvent {}

  /**
   * The run goes on after something was lost.
   *
   * @param iteration of the checkpoint that it goes on from; 0 where it begins anew from the
   *     pretrained model
   * @param reasonCode what was lost, as {@code WORKER_UNAVAILABLE}; {@code RESTARTED} for the
   *     orchestrator itself
   * @param generation how often the run was claimed
   */
  record Recovered(int iteration, String reasonCode, String reason, long generation)
      implements RunEvent {}

  /**
   * Something is odd, but the run goes on.
   *
   * @param iteration in which it was seen; 0 before training
   * @param code for programs, as {@code REWARD_CONSTANT}
   * @param message what is odd, what it may mean, and the cure
   */
  record Warned(int iteration, String code, String message) implements RunEvent {}

  /** What a run tells before anything is done: that it started, and what is odd about its keys. */
  static List<RunEvent> opening(RunSpec spec, RunFolder folder, Instant time) {
    List<RunEvent> events = new ArrayList<>(List.of(Started.of(spec, folder, time)));
    for (Feasibility.Finding odd : Feasibility.warnings(spec)) {
      events.add(new Warned(0, "SPECIFICATION", odd.toString()));
    }
    return events;
  }
}
