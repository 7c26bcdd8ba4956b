package dev.vard.spec;

import java.util.OptionalInt;

/**
 * How the adapter is trained.
 *
 * @param steps gradient steps of each iteration
 * @param batch (trajectory, t) pairs of each step
 * @param learningRate of the first iteration that trains the adapter
 * @param finalRate of the last one, as a share of {@code learningRate}
 * @param phaseRate of an iteration's last step, as a share of its first one's
 * @param maxGradientNorm bound of the gradient's L2 norm; 0 for none
 * @param microBatch pairs that go through the network together; empty for the whole batch
 */
public record PolicySpec(
    int steps,
    int batch,
    double learningRate,
    double finalRate,
    double phaseRate,
    double maxGradientNorm,
    OptionalInt microBatch) {

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
