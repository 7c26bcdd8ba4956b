package dev.vard.spec;

/** What holds the policy near the pretrained model. */
public sealed interface KlSpec {

  /**
   * A controller moves η so that the KL stays near the budget.
   *
   * @param budget nats per trajectory
   */
  record KlBudget(double budget) implements KlSpec {}

  /**
   * A fixed η.
   *
   * @param weight in units of normalised reward a nat
   */
  record KlWeight(double weight) implements KlSpec {}
}
