package dev.vard.spec;

import java.util.OptionalInt;

/**
 * How the adapter is trained.
 *
 * @param steps gradient steps of each iteration
 * @param batch (trajectory, t) pairs of each step
 * @param learningRate of the first iteration that trains the adapter
 * @param finalRate of the last one, as a share of {@code learningRate}
 * @param maxGradientNorm bound of the gradient's L2 norm; 0 for none
 * @param microBatch pairs that go through the network together; empty for the whole batch
 */
public record PolicySpec(
    int steps,
    int batch,
    double learningRate,
    double finalRate,
    double maxGradientNorm,
    OptionalInt microBatch) {

  /** With whole batches. */
  public PolicySpec(
      int steps, int batch, double learningRate, double finalRate, double maxGradientNorm) {
    this(steps, batch, learningRate, finalRate, maxGradientNorm, OptionalInt.empty());
  }

  /**
   * The learning rate of an iteration; it falls linearly.
   *
   * @param first the first iteration that trains the adapter
   * @param last the run's last iteration
   */
  public double learningRate(int iteration, int first, int last) {
    double done = last == first ? 0 : (double) (iteration - first) / (last - first);
    return learningRate * (1 + (finalRate - 1) * done);
  }
}
