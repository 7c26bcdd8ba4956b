package dev.vard.spec;

/**
 * How the adapter is trained.
 *
 * @param steps gradient steps of each iteration
 * @param batch (trajectory, t) pairs of each step
 * @param maxGradientNorm bound of the gradient's L2 norm; 0 for none
 */
public record PolicySpec(int steps, int batch, double learningRate, double maxGradientNorm) {}
