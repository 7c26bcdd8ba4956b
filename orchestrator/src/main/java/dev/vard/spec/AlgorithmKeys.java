package dev.vard.spec;

import dev.vard.spec.ValueType.Choice;
import dev.vard.spec.ValueType.Decimal;
import dev.vard.spec.ValueType.Truth;
import dev.vard.spec.ValueType.Whole;
import java.util.List;

/** The keys of {@code algorithm}. */
final class AlgorithmKeys {
  static final Key<AlgorithmSpec.Kind> ALGORITHM_KIND =
      Key.required(
          "algorithm.kind", new Choice<>(AlgorithmSpec.Kind.class), "How the policy is improved.");
  static final Key<Long> ITERATIONS =
      Key.of(
          "algorithm.iterations",
          Forms.STEPS,
          16L,
          "Rounds of sampling, scoring and learning, the warm-up included.");
  static final Key<Long> SAMPLES =
      Key.of(
          "algorithm.samples",
          new Whole(2, 65_536),
          32L,
          "Trajectories of each iteration; each is one reward query.");
  static final Key<Long> STALENESS =
      Key.of(
          "algorithm.staleness",
          new Whole(0, 100),
          0L,
          "So many iterations late may rewards be: the policy learns from those while newer ones"
              + " are still awaited. 0 waits for each iteration's own.");
  static final Key<ValueSpec.Kind> VALUE_KIND =
      vard(
          Key.of(
              "algorithm.value.kind",
              new Choice<>(ValueSpec.Kind.class),
              ValueSpec.Kind.CONV,
              "The value network: small and convolutional on latents, or a head on the frozen"
                  + " encoder of the denoising network, for large models."));
  static final Key<ValueSpec.Input> VALUE_INPUT =
      vard(
          Key.of(
              "algorithm.value.input",
              new Choice<>(ValueSpec.Input.class),
              ValueSpec.Input.STATE,
              "What the value network sees: the state x_t, or beside it the look-ahead, what the"
                  + " pretrained model says of the clean picture from there. It costs a network pass"
                  + " for each state, and needs fewer queries."));
  static final Key<Boolean> VALUE_PROMPT =
      vard(
          Key.of(
              "algorithm.value.prompt",
              new Truth(),
              true,
              "Whether the value network is told the prompt. false serves a reward that is a matter of"
                  + " the picture alone: what a prompt says of it has no gradient in the picture."));
  static final Key<Long> VALUE_WIDTH =
      vard(
          Key.optional(
              "algorithm.value.width",
              new Whole(8, 1024),
              "the network's own choice",
              "Channels of the value network's layers, a multiple of 8."));
  static final Key<Long> WARMUP =
      vard(
          Key.of(
              "algorithm.value.warmup",
              new Whole(0, 100_000),
              2L,
              "First iterations that fit the value and leave the policy alone. Their rewards fix"
                  + " the reward's scale; with 0, the first iteration's do."));
  static final Key<Long> VALUE_STEPS =
      vard(
          Key.of(
              "algorithm.value.steps",
              Forms.STEPS,
              40L,
              "Gradient steps of each iteration's fit."));
  static final Key<Long> VALUE_BATCH =
      vard(
          Key.of(
              "algorithm.value.batch",
              Forms.BATCH,
              128L,
              "(trajectory, t) pairs of each gradient step."));
  static final Key<Double> VALUE_RATE =
      vard(
          Key.of("algorithm.value.learning-rate", Forms.RATE, 1.0e-3, "Learning rate of the fit."));
  static final Key<Long> REPLAY =
      vard(
          Key.of(
              "algorithm.value.replay",
              new Whole(1, 100_000),
              8L,
              "The last so many iterations' trajectories are kept and fitted."));
  static final Key<Double> VALUE_NORM =
      vard(
          Key.of(
              "algorithm.value.max-gradient-norm",
              Forms.NOT_NEGATIVE,
              1.0,
              "Gradients are scaled down to this L2 norm; 0 for no bound."));
  static final Key<Long> VALUE_AHEAD =
      vard(
          Key.optional(
              "algorithm.value.ahead",
              new Whole(0, 100_000),
              "half of the steps where a reward is grpc, http or python, else 0",
              "So many of the fit's steps are taken on earlier iterations' trajectories, while this"
                  + " one's scores are awaited."));
  static final Key<Long> VALUE_MICRO_BATCH =
      vard(
          Key.optional(
              "algorithm.value.micro-batch",
              Forms.BATCH,
              "the whole batch",
              "Pairs that go through the networks together; their gradients add up to the batch's."));
  static final Key<Long> POLICY_STEPS =
      Key.of(
          "algorithm.policy.steps",
          Forms.STEPS,
          10L,
          "Gradient steps of each iteration after the warm-up.");
  static final Key<Long> POLICY_BATCH =
      Key.of(
          "algorithm.policy.batch",
          Forms.BATCH,
          32L,
          "(trajectory, t) pairs of each gradient step.");
  static final Key<Double> POLICY_RATE =
      Key.of("algorithm.policy.learning-rate", Forms.RATE, 5.0e-4, "Learning rate of the adapter.");
  static final Key<Double> FINAL_RATE =
      Key.of(
          "algorithm.policy.final-rate",
          new Decimal(0, true, 1),
          1.0,
          "Learning rate of the last iteration, as a share of learning-rate; it falls linearly. 1"
              + " keeps it.");
  static final Key<Double> PHASE_RATE =
      Key.of(
          "algorithm.policy.phase-rate",
          new Decimal(0, true, 1),
          1.0,
          "Learning rate of an iteration's last step, as a share of its first one's; it falls"
              + " linearly. 1 keeps it.");
  static final Key<Double> POLICY_NORM =
      Key.of(
          "algorithm.policy.max-gradient-norm",
          Forms.NOT_NEGATIVE,
          1.0,
          "Gradients are scaled down to this L2 norm; 0 for no bound.");
  static final Key<Long> POLICY_MICRO_BATCH =
      Key.optional(
          "algorithm.policy.micro-batch",
          Forms.BATCH,
          "the whole batch",
          "Pairs that go through the network together; their gradients add up to the batch's, in less"
              + " memory.");
  static final Key<Double> KL_BUDGET =
      Key.optional(
          "algorithm.kl.budget",
          Forms.POSITIVE,
          "60.0 where `algorithm.kl` is not given",
          "KL to the pretrained model in nats per trajectory, held by a controller that moves η.");
  static final Key<Long> KL_PROBES =
      Key.of(
          "algorithm.kl.probes",
          new Whole(0, 4096),
          0L,
          "Fresh trajectories, which nobody scores, on which the KL is measured after each policy"
              + " phase: where it is above the budget, the adapter is scaled back. 0 aims at the"
              + " budget alone, and may miss it by far.");
  static final Key<Double> KL_WEIGHT =
      Key.optional(
          "algorithm.kl.weight",
          Forms.NOT_NEGATIVE,
          "`algorithm.kl.budget`",
          "A fixed η instead, in units of normalised reward a nat.");
  static final Key<Double> CLIP =
      ddpo(
          Key.of(
              "algorithm.clip",
              Forms.POSITIVE,
              1.0e-4,
              "ε of the likelihood ratio, whose log-probabilities are averaged over the latent's"
                  + " dimensions."));
  static final Key<Double> ADVANTAGE_CLIP =
      ddpo(
          Key.of(
              "algorithm.advantage-clip",
              Forms.POSITIVE,
              5.0,
              "Advantages are kept within ± this many deviations."));

  static final List<Key<?>> ALL =
      List.of(
          ALGORITHM_KIND,
          ITERATIONS,
          SAMPLES,
          STALENESS,
          VALUE_KIND,
          VALUE_INPUT,
          VALUE_PROMPT,
          VALUE_WIDTH,
          WARMUP,
          VALUE_STEPS,
          VALUE_BATCH,
          VALUE_RATE,
          REPLAY,
          VALUE_NORM,
          VALUE_AHEAD,
          VALUE_MICRO_BATCH,
          POLICY_STEPS,
          POLICY_BATCH,
          POLICY_RATE,
          FINAL_RATE,
          PHASE_RATE,
          POLICY_NORM,
          POLICY_MICRO_BATCH,
          KL_BUDGET,
          KL_PROBES,
          KL_WEIGHT,
          CLIP,
          ADVANTAGE_CLIP);

  private AlgorithmKeys() {}

  private static <T> Key<T> vard(Key<T> key) {
    return key.onlyWith("algorithm.kind", AlgorithmSpec.Kind.VARD);
  }

  private static <T> Key<T> ddpo(Key<T> key) {
    return key.onlyWith("algorithm.kind", AlgorithmSpec.Kind.DDPO);
  }
}
