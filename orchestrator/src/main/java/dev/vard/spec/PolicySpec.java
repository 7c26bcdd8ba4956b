package dev.vard.spec;

import java.util.OptionalInt;

/** How the adapter is trained. */
public record PolicySpec(
    @SpecKey(
            text = "Gradient steps of each iteration after the warm-up.",
            in = Forms.STEPS,
            byDefault = "10")
        int steps,
    @SpecKey(
            text = "(trajectory, t) pairs of each gradient step.",
            in = Forms.BATCH,
            byDefault = "32")
        int batch,
    @SpecKey(text = "Learning rate of the adapter.", in = Forms.SHARE, byDefault = "5.0e-4")
        double learningRate,
    @SpecKey(
            text =
                "Learning rate of the last iteration, as a share of learning-rate; it falls"
                    + " linearly. 1 keeps it.",
            in = Forms.SHARE,
            byDefault = "1.0")
        double finalRate,
    @SpecKey(
            text =
                "Learning rate of an iteration's last step, as a share of its first one's; it falls"
                    + " linearly. 1 keeps it.",
            in = Forms.SHARE,
            byDefault = "1.0")
        double phaseRate,
    double maxGradientNorm,
    @SpecKey(
            text =
                "Pairs that go through the network together; their gradients add up to the batch's,"
                    + " in less memory.",
            in = Forms.BATCH,
            without = "the whole batch")
        OptionalInt microBatch)
    implements Descent {

  /** With whole batches, and one rate for all of an iteration's steps. */
  public PolicySpec(
      int steps, int batch, double learningRate, double finalRate, double maxGradientNorm) {
    this(steps, batch, learningRate, finalRate, 1.0, maxGradientNorm, OptionalInt.empty());
  }

  /**
   * The learning rate of an iteration's first step; it falls linearly from one to the next.
   *
   * @param first the first iteration that trains the adapter
   * @param last the run's last iteration
   */
  public double learningRate(int iteration, int first, int last) {
    double done = last == first ? 0 : (double) (iteration - first) / (last - first);
    return learningRate * (1 + (finalRate - 1) * done);
  }
}
