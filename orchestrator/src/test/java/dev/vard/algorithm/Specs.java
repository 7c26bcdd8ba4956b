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
import dev.vard.spec.RewardSpec;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SamplerSpec;
import dev.vard.spec.ValueSpec;
import java.util.List;
import java.util.OptionalInt;

/** Small specifications. */
final class Specs {
  static final PolicySpec POLICY = new PolicySpec(2, 4, 0.1, 1.0, 1.0);

  private Specs() {}

  static VardSpec vard(int iterations, int samples, int warmup, int replay) {
    return new VardSpec(
        iterations,
        samples,
        new ValueSpec(ValueSpec.Kind.CONV, OptionalInt.empty(), warmup, 3, 5, 0.01, replay, 1.0),
        POLICY,
        new KlSpec.KlBudget(10));
  }

  static DdpoSpec ddpo(int iterations, int samples) {
    return new DdpoSpec(iterations, samples, POLICY, new KlSpec.KlWeight(0.5), 1.0e-4, 5.0);
  }

  static RunSpec run(AlgorithmSpec algorithm, List<String> prompts, EvaluateSpec evaluate) {
    return new RunSpec(
        "test",
        7,
        new ModelSpec(
            "owner/name",
            "",
            "cpu",
            ModelSpec.DType.FLOAT32,
            new AdapterSpec(2, 2, List.of("to_q"))),
        prompts,
        new SamplerSpec(SamplerSpec.Kind.DDIM, 4, 3, 1, 4),
        new RewardSpec.Supplied(),
        algorithm,
        evaluate,
        new CheckpointSpec(1, 3),
        "local",
        1);
  }
}
