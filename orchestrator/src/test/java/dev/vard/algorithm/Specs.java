package dev.vard.algorithm;

import dev.vard.spec.AdapterSpec;
import dev.vard.spec.AlgorithmSpec;
import dev.vard.spec.AlgorithmSpec.DdpoSpec;
import dev.vard.spec.AlgorithmSpec.VardSpec;
import dev.vard.spec.CheckpointSpec;
import dev.vard.spec.EvaluateSpec;
import dev.vard.spec.KlSpec;
import dev.vard.spec.ModelSpec;
import dev.vard.spec.PolicySpec;
import dev.vard.spec.RewardSource;
import dev.vard.spec.RewardSpec;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SamplerSpec;
import dev.vard.spec.TrajectoriesSpec;
import dev.vard.spec.ValueSpec;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;

/** Small specifications. */
final class Specs {
  static final PolicySpec POLICY = new PolicySpec(2, 4, 0.1, 1.0, 1.0);

  private Specs() {}

  static VardSpec vard(int iterations, int samples, int warmup, int replay) {
    return vard(iterations, samples, 0, warmup, replay, 0);
  }

  /** A warm-up of one iteration, two samples each, and a replay of two. */
  static VardSpec vard(int iterations, int staleness, int ahead) {
    return vard(iterations, 2, staleness, 1, 2, ahead);
  }

  private static VardSpec vard(
      int iterations, int samples, int staleness, int warmup, int replay, int ahead) {
    return new VardSpec(
        iterations,
        samples,
        staleness,
        new ValueSpec(
            ValueSpec.Kind.CONV,
            ValueSpec.Input.STATE,
            true,
            OptionalInt.empty(),
            warmup,
            3,
            5,
            0.01,
            replay,
            1.0,
            ahead,
            OptionalInt.empty()),
        POLICY,
        new KlSpec.KlBudget(10));
  }

  static DdpoSpec ddpo(int iterations, int samples) {
    return new DdpoSpec(iterations, samples, 0, POLICY, new KlSpec.KlWeight(0.5), 1.0e-4, 5.0);
  }

  static Schedule schedule(long seed, List<String> prompts, int samples, EvaluateSpec evaluate) {
    return new Schedule(run(seed, ddpo(1000, samples), prompts, evaluate));
  }

  static RunSpec budget(RunSpec spec, long queries) {
    return new RunSpec(
        spec.name(),
        spec.seed(),
        spec.model(),
        spec.prompts(),
        spec.sampler(),
        spec.reward(),
        spec.algorithm(),
        spec.evaluate(),
        OptionalLong.of(queries),
        spec.checkpoint(),
        spec.worker(),
        spec.threads());
  }

  static RunSpec run(AlgorithmSpec algorithm, List<String> prompts, EvaluateSpec evaluate) {
    return run(7, algorithm, prompts, evaluate);
  }

  private static RunSpec run(
      long seed, AlgorithmSpec algorithm, List<String> prompts, EvaluateSpec evaluate) {
    return new RunSpec(
        "test",
        seed,
        new ModelSpec(
            "owner/name",
            "",
            "cpu",
            ModelSpec.DType.FLOAT32,
            new AdapterSpec(2, 2, List.of("to_q"))),
        prompts,
        new SamplerSpec(
            SamplerSpec.Kind.DDIM, 4, 3, OptionalDouble.of(1), 4, TrajectoriesSpec.PLAIN),
        RewardSpec.of(new RewardSource.Supplied()),
        algorithm,
        evaluate,
        OptionalLong.empty(),
        new CheckpointSpec(1, 3),
        "local",
        1);
  }
}
