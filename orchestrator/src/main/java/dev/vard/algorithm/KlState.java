package dev.vard.algorithm;

/**
 * What the controller of the KL remembers.
 *
 * @param weight η of the next policy phase, in units of normalised reward a nat
 * @param kl of the last policy phase, in nats per trajectory; 0 before the first
 */
public record KlState(double weight, double kl) {
  public KlState {
    NotFiniteException.finite(weight, "the KL's weight η");
    NotFiniteException.finite(kl, "the KL of the policy phase");
  }
}
