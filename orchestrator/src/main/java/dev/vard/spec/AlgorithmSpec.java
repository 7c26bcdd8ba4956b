package dev.vard.spec;

/** How the policy is improved. */
public sealed interface AlgorithmSpec {

  @SpecKey(
      text = "Rounds of sampling, scoring and learning, the warm-up included.",
      in = Forms.STEPS,
      byDefault = "16")
  int iterations();

  @SpecKey(
      text = "Trajectories of each iteration; each is one reward query.",
      in = "[2, 65536]",
      byDefault = "32")
  int samples();

  @SpecKey(
      text =
          "So many iterations late may rewards be: the policy learns from those while newer ones"
              + " are still awaited. 0 waits for each iteration's own.",
      in = "[0, 100]",
      byDefault = "0")
  int staleness();

  PolicySpec policy();

  KlSpec kl();

  @SpecKey(text = "How the policy is improved.")
  default Kind kind() {
    return Variant.of(Kind.class, getClass());
  }

  /** Value-based: gradients flow from a fitted value network into the policy. */
  record VardSpec(
      int iterations, int samples, int staleness, ValueSpec value, PolicySpec policy, KlSpec kl)
      implements AlgorithmSpec {}

  /** Policy gradient with a clipped likelihood ratio. */
  record DdpoSpec(
      int iterations,
      int samples,
      int staleness,
      PolicySpec policy,
      KlSpec kl,
      @SpecKey(
              text =
                  "ε of the likelihood ratio, whose log-probabilities are averaged over the"
                      + " latent's dimensions.",
              in = Forms.POSITIVE,
              byDefault = "1.0e-4")
          double clip,
      @SpecKey(
              text = "Advantages are kept within ± this many deviations.",
              in = Forms.POSITIVE,
              byDefault = "5.0")
          double advantageClip)
      implements AlgorithmSpec {}

  /** The names of the above in a specification. */
  enum Kind implements Variant {
    VARD(VardSpec.class),
    DDPO(DdpoSpec.class);

    private final Class<? extends Record> type;

    Kind(Class<? extends Record> type) {
      this.type = type;
    }

    @Override
    public Class<? extends Record> type() {
      return type;
    }
  }
}
