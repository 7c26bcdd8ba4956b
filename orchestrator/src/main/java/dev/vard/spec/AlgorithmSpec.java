package dev.vard.spec;

/** How the policy is improved. */
public sealed interface AlgorithmSpec {

  /** Rounds of sampling, scoring and learning. */
  int iterations();

  /** Trajectories, and reward queries, of each iteration. */
  int samples();

  /** So many iterations late may rewards be. */
  int staleness();

  PolicySpec policy();

  KlSpec kl();

  /** The name in a specification. */
  Kind kind();

  /** Value-based: gradients flow from a fitted value network into the policy. */
  record VardSpec(
      int iterations, int samples, int staleness, ValueSpec value, PolicySpec policy, KlSpec kl)
      implements AlgorithmSpec {
    @Override
    public Kind kind() {
      return Kind.VARD;
    }
  }

  /**
   * Policy gradient with a clipped likelihood ratio.
   *
   * @param clip ε of the ratio
   * @param advantageClip advantages are kept within ± this many deviations
   */
  record DdpoSpec(
      int iterations,
      int samples,
      int staleness,
      PolicySpec policy,
      KlSpec kl,
      double clip,
      double advantageClip)
      implements AlgorithmSpec {
    @Override
    public Kind kind() {
      return Kind.DDPO;
    }
  }

  /** The names of the above in a specification. */
  enum Kind {
    VARD,
    DDPO
  }
}
