package dev.vard.spec;

/** What the gradient steps of the value network and of the policy have alike. */
interface Descent {
  @SpecKey(
      text = "Gradients are scaled down to this L2 norm; 0 for no bound.",
      in = Forms.NOT_NEGATIVE,
      byDefault = "1.0")
  double maxGradientNorm();
}
