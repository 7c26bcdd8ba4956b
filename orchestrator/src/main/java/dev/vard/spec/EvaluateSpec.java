package dev.vard.spec;

/**
 * Looking at the model on held-out seeds: before training, and after the last iteration in any
 * case.
 *
 * @param every iterations from one evaluation to the next
 * @param images of each evaluation
 */
public record EvaluateSpec(int every, int images) {}
