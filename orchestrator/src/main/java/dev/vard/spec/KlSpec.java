package dev.vard.spec;

/** What holds the policy near the pretrained model. */
public sealed interface KlSpec {

  /**
   * η is moved so that the KL stays near the budget.
   *
   * @param budget nats per trajectory
   * @param probes fresh trajectories on which the KL is measured after each policy phase, and the
   *     adapter scaled back where it is above; 0 to aim at the budget alone
   */
  record KlBudget(double budget, int probes) implements KlSpec {
    /** Aimed at, not enforced. */
    public KlBudget(double budget) {
      this(budget, 0);
    }
  }

  /**
   * A fixed η.
   *
   * @param weight in units of normalised reward a nat
   */
  record KlWeight(double weight) implements KlSpec {}
}
