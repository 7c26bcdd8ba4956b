package dev.vard.spec;

import dev.vard.spec.AlgorithmSpec.DdpoSpec;
import dev.vard.spec.AlgorithmSpec.VardSpec;
import dev.vard.spec.KlSpec.KlBudget;
import dev.vard.spec.KlSpec.KlWeight;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalLong;

/** From values that are as they should be to the records. */
final class Binding {
  private static final double DEFAULT_BUDGET = 60.0;
  private static final double DEFAULT_GUIDANCE = 3.0;

  private final Given given;
  private final int processors;

  /**
   * @param processors what {@code threads} is where it is not given
   */
  Binding(Given given, int processors) {
    this.given = given;
    this.processors = processors;
  }

  RunSpec spec(List<String> prompts, String checkpoint, RewardSpec rewards) {
    ModelSpec model =
        new ModelSpec(
            checkpoint,
            given.find(Keys.REVISION).orElse(""),
            given.get(Keys.DEVICE),
            given.get(Keys.DTYPE),
            new AdapterSpec(
                given.whole(Keys.RANK),
                given.get(Keys.ALPHA),
                given.find(Keys.TARGETS).orElse(List.of())),
            given.wholeIfGiven(Keys.HEIGHT),
            given.wholeIfGiven(Keys.WIDTH),
            given.get(Keys.GRADIENT_CHECKPOINTING),
            given.get(Keys.OFFLOAD));
    SamplerSpec sampler =
        new SamplerSpec(
            given.get(Keys.SAMPLER_KIND),
            given.whole(Keys.SAMPLER_STEPS),
            given.find(Keys.GUIDANCE).orElse(prompts.isEmpty() ? 1.0 : DEFAULT_GUIDANCE),
            given.find(Keys.ETA).map(OptionalDouble::of).orElse(OptionalDouble.empty()),
            given.whole(Keys.SAMPLER_BATCH),
            new TrajectoriesSpec(
                given.get(Keys.TRAJECTORIES_DTYPE), given.get(Keys.TRAJECTORIES_DEVICE)));
    return new RunSpec(
        given.get(Keys.NAME),
        given.get(Keys.SEED),
        model,
        prompts,
        sampler,
        rewards,
        algorithm(rewards.remote()),
        new EvaluateSpec(given.whole(Keys.EVERY), given.whole(Keys.IMAGES)),
        given.find(Keys.BUDGET).map(OptionalLong::of).orElse(OptionalLong.empty()),
        new CheckpointSpec(given.whole(Keys.CHECKPOINT_EVERY), given.whole(Keys.CHECKPOINT_KEEP)),
        given.get(Keys.WORKER),
        given.find(Keys.THREADS).map(Math::toIntExact).orElse(processors));
  }

  private AlgorithmSpec algorithm(boolean remote) {
    int iterations = given.whole(AlgorithmKeys.ITERATIONS);
    int samples = given.whole(AlgorithmKeys.SAMPLES);
    int staleness = given.whole(AlgorithmKeys.STALENESS);
    PolicySpec policy =
        new PolicySpec(
            given.whole(AlgorithmKeys.POLICY_STEPS),
            given.whole(AlgorithmKeys.POLICY_BATCH),
            given.get(AlgorithmKeys.POLICY_RATE),
            given.get(AlgorithmKeys.FINAL_RATE),
            given.get(AlgorithmKeys.PHASE_RATE),
            given.get(AlgorithmKeys.POLICY_NORM),
            given.wholeIfGiven(AlgorithmKeys.POLICY_MICRO_BATCH));
    KlSpec kl =
        given
            .find(AlgorithmKeys.KL_WEIGHT)
            .<KlSpec>map(KlWeight::new)
            .orElseGet(
                () ->
                    new KlBudget(
                        given.find(AlgorithmKeys.KL_BUDGET).orElse(DEFAULT_BUDGET),
                        given.whole(AlgorithmKeys.KL_PROBES)));
    return switch (given.get(AlgorithmKeys.ALGORITHM_KIND)) {
      case VARD -> new VardSpec(iterations, samples, staleness, value(remote), policy, kl);
      case DDPO ->
          new DdpoSpec(
              iterations,
              samples,
              staleness,
              policy,
              kl,
              given.get(AlgorithmKeys.CLIP),
              given.get(AlgorithmKeys.ADVANTAGE_CLIP));
    };
  }

  private ValueSpec value(boolean remote) {
    int steps = given.whole(AlgorithmKeys.VALUE_STEPS);
    return new ValueSpec(
        given.get(AlgorithmKeys.VALUE_KIND),
        given.get(AlgorithmKeys.VALUE_INPUT),
        given.get(AlgorithmKeys.VALUE_PROMPT),
        given.wholeIfGiven(AlgorithmKeys.VALUE_WIDTH),
        given.whole(AlgorithmKeys.WARMUP),
        steps,
        given.whole(AlgorithmKeys.VALUE_BATCH),
        given.get(AlgorithmKeys.VALUE_RATE),
        given.whole(AlgorithmKeys.REPLAY),
        given.get(AlgorithmKeys.VALUE_NORM),
        given.find(AlgorithmKeys.VALUE_AHEAD).map(Math::toIntExact).orElse(remote ? steps / 2 : 0),
        given.wholeIfGiven(AlgorithmKeys.VALUE_MICRO_BATCH));
  }
}
