package dev.vard.spec;

/** What holds the policy near the pretrained model. */
public sealed interface KlSpec {

  /** η is moved so that the KL stays near the budget. */
  record KlBudget(
      @SpecKey(
              text =
                  "KL to the pretrained model in nats per trajectory, held by a controller that"
                      + " moves η.",
              in = Forms.POSITIVE,
              without = KlBudget.DEFAULT + " where `algorithm.kl` is not given")
          double budget,
      @SpecKey(
              text =
                  "Fresh trajectories, which nobody scores, on which the KL is measured after each"
                      + " policy phase: where it is above the budget, the adapter is scaled back. 0"
                      + " aims at the budget alone, and may miss it by far.",
              in = "[0, 4096]",
              byDefault = "0")
          int probes)
      implements KlSpec {
    static final double DEFAULT = 60.0;

    /** Aimed at, not enforced. */
    public KlBudget(double budget) {
      this(budget, 0);
    }
  }

  /** A fixed η. */
  record KlWeight(
      @SpecKey(
              text = "A fixed η instead, in units of normalised reward a nat.",
              in = Forms.NOT_NEGATIVE,
              without = "`algorithm.kl.budget`")
          double weight)
      implements KlSpec {}
}
