package dev.vard.spec;

import dev.vard.spec.AlgorithmSpec.DdpoSpec;
import dev.vard.spec.AlgorithmSpec.VardSpec;
import dev.vard.spec.KlSpec.KlBudget;
import dev.vard.spec.KlSpec.KlWeight;
import java.util.ArrayList;
import java.util.List;

/**
 * Whether a run can learn, as far as its specification can say: a method needs noise in its chain,
 * so does a bound on the KL, and a reward must be able to differ.
 */
public final class Feasibility {
  private static final Key<?> ETA = Keys.at("sampler.eta");

  /** DDIM's η below which hardly any noise is left. */
  private static final double LITTLE_NOISE = 0.05;

  /** Adam moves no weight by more than its learning rate in a step. */
  private static final double LEAST_MOVE = 1.0e-5;

  private static final double MOST_RATE = 0.1;
  private static final double LEAST_BUDGET = 0.01;
  private static final double MOST_WEIGHT = 1.0e3;

  /** The ratio is a 32-bit float: less than this beside 1 is nothing. */
  private static final double LEAST_CLIP = 1.2e-7;

  /** Adam's ε is 1e-8, and the norm is shared out among all weights. */
  private static final double LEAST_NORM = 1.0e-5;

  private static final double LEAST_ADVANTAGE = 1.0e-3;

  /** (trajectory, t) pairs of one request to a worker. */
  private static final long MOST_PAIRS = 1 << 24;

  /** Names in {@code model.adapter.targets} that a worker takes. */
  static final int MOST_TARGETS = 256;

  /** The value network's layers are normalised in groups. */
  private static final int GROUP = 8;

  private Feasibility() {}

  /**
   * What is wrong or odd about a key's value.
   *
   * @param path the key, as {@code sampler.eta}
   */
  public record Finding(String path, String message) {
    private Finding(Key<?> key, String message) {
      this(key.path(), message);
    }

    @Override
    public String toString() {
      return path + ": " + message;
    }
  }

  /** Why nothing could be learnt, or nothing would be bounded; empty where all is well. */
  static List<Finding> refusals(RunSpec spec) {
    List<Finding> found = new ArrayList<>();
    if (spec.sampler().noNoise()) {
      String zero = "0 gives a chain without noise, ";
      String cure = "; give a number above 0 (1 is as stochastic as DDPM), or ";
      if (spec.algorithm() instanceof DdpoSpec) {
        found.add(
            new Finding(
                ETA,
                zero + "and DDPO learns from the noise alone" + cure + "algorithm.kind: vard"));
      } else if (spec.needsNoise()) {
        String what =
            switch (spec.algorithm().kl()) {
              case KlBudget budget -> CrossChecks.KL_BUDGET.path() + " bounds nothing";
              case KlWeight weight -> CrossChecks.KL_WEIGHT.path() + " does nothing";
            };
        found.add(
            new Finding(
                ETA,
                zero
                    + "where the KL to the pretrained model is undefined and "
                    + what
                    + cure
                    + "algorithm.kl: {weight: 0}"));
      }
    }
    SamplerSpec.Kind kind = spec.sampler().kind();
    if ((kind == SamplerSpec.Kind.DDIM || kind == SamplerSpec.Kind.FLOW_CPS)
        && spec.sampler().eta().orElse(0) > 1) {
      found.add(
          new Finding(
              ETA,
              spec.sampler().eta().getAsDouble()
                  + " is above 1, which only sampler.kind: flow-sde takes; give a number from 0 to"
                  + " 1"));
    }
    if (spec.reward().parts().stream().allMatch(part -> part.weight() == 0)) {
      found.add(
          new Finding(
              spec.reward().isSum() ? RewardReading.PARTS : Keys.at("reward.weight"),
              "with a weight of 0 all rewards are equal, and equal rewards teach nothing; give"
                  + " another weight"));
    }
    int targets = spec.model().adapter().targets().size();
    if (targets > MOST_TARGETS) {
      found.add(
          new Finding(
              Keys.at("model.adapter.targets"),
              "has " + targets + " names; give at most " + MOST_TARGETS));
    }
    PolicySpec policy = spec.algorithm().policy();
    pairs(Keys.at("algorithm.policy.steps"), policy.steps(), policy.batch(), found);
    if (spec.algorithm() instanceof VardSpec vard) {
      pairs(CrossChecks.VALUE_STEPS, vard.value().steps(), vard.value().batch(), found);
      vard.value()
          .width()
          .ifPresent(
              width -> {
                if (width % GROUP != 0) {
                  found.add(
                      new Finding(
                          Keys.at("algorithm.value.width"),
                          "%d is no multiple of %d; give %d"
                              .formatted(width, GROUP, GROUP * Math.ceilDiv(width, GROUP))));
                }
              });
    }
    return found;
  }

  private static void pairs(Key<?> key, long steps, long batch, List<Finding> found) {
    if (steps * batch > MOST_PAIRS) {
      found.add(
          new Finding(
              key,
              "%d steps of batch %d are more than the %d (trajectory, t) pairs that a worker takes"
                      .formatted(steps, batch, MOST_PAIRS)
                  + " at once; give fewer"));
    }
  }

  /** What is lawful, and most likely a mistake. */
  public static List<Finding> warnings(RunSpec spec) {
    List<Finding> found = new ArrayList<>();
    chain(spec, found);
    List<RewardSpec.Part> parts = spec.reward().parts();
    for (int i = 0; i < parts.size(); i++) {
      if (parts.get(i).weight() == 0) {
        found.add(
            new Finding(
                "reward.parts[" + i + "].weight",
                "0: " + parts.get(i).name() + " is asked and shown, and changes nothing"));
      }
    }
    PolicySpec policy = spec.algorithm().policy();
    double move = policy.learningRate() * policy.steps() * improvements(spec);
    if (move < LEAST_MOVE) {
      found.add(
          new Finding(
              Keys.at("algorithm.policy.learning-rate"),
              policy.learningRate()
                  + " moves no weight by more than "
                  + move
                  + " in the whole run; give more, or more algorithm.policy.steps"));
    }
    if (policy.learningRate() > MOST_RATE) {
      found.add(
          new Finding(
              Keys.at("algorithm.policy.learning-rate"),
              policy.learningRate()
                  + " moves weights by about so much in every step, which is likely to ruin the"
                  + " model; 1e-4 to 1e-3 is usual"));
    }
    norm(Keys.at("algorithm.policy.max-gradient-norm"), policy.maxGradientNorm(), found);
    switch (spec.algorithm()) {
      case VardSpec vard ->
          norm(Keys.at("algorithm.value.max-gradient-norm"), vard.value().maxGradientNorm(), found);
      case DdpoSpec ddpo -> clips(ddpo, found);
    }
    return found;
  }

  private static void chain(RunSpec spec, List<Finding> found) {
    SamplerSpec.Kind kind = spec.sampler().kind();
    double eta = spec.sampler().eta().orElse(1);
    if (spec.sampler().noNoise()) {
      found.add(
          new Finding(
              ETA,
              "0 gives a chain without noise: the KL is shown as 0 whatever happens, and nothing"
                  + " bounds how far the policy moves"));
    } else if ((kind == SamplerSpec.Kind.DDIM || kind == SamplerSpec.Kind.AUTO)
        && eta < LITTLE_NOISE
        && spec.needsNoise()) {
      found.add(
          new Finding(
              ETA,
              eta
                  + " leaves hardly any noise, and the KL grows with 1/η²: a small change of the"
                  + " pictures costs the whole budget"));
    }
    switch (spec.algorithm().kl()) {
      case KlBudget(double budget, int probes) when budget < LEAST_BUDGET ->
          found.add(
              new Finding(
                  CrossChecks.KL_BUDGET, budget + " nats let the pictures change hardly at all"));
      case KlWeight(double weight) when weight > MOST_WEIGHT ->
          found.add(
              new Finding(
                  CrossChecks.KL_WEIGHT, weight + " lets the pictures change hardly at all"));
      case KlBudget budget -> {}
      case KlWeight weight -> {}
    }
  }

  private static void clips(DdpoSpec ddpo, List<Finding> found) {
    if (ddpo.clip() < LEAST_CLIP) {
      found.add(
          new Finding(
              Keys.at("algorithm.clip"),
              ddpo.clip()
                  + " is below a 32-bit float's resolution: only the first step of each iteration"
                  + " learns"));
    }
    if (ddpo.advantageClip() < LEAST_ADVANTAGE) {
      found.add(
          new Finding(
              Keys.at("algorithm.advantage-clip"),
              ddpo.advantageClip() + " makes all advantages nearly 0; 5 is usual"));
    }
  }

  private static void norm(Key<?> key, double norm, List<Finding> found) {
    if (norm > 0 && norm < LEAST_NORM) {
      found.add(
          new Finding(
              key, norm + " scales gradients down to nothing; 1 is usual, and 0 is no bound"));
    }
  }

  private static int improvements(RunSpec spec) {
    return spec.iterations()
        - switch (spec.algorithm()) {
          case VardSpec vard -> vard.value().warmup();
          case DdpoSpec ddpo -> 0;
        };
  }
}
