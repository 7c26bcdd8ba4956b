package dev.vard.algorithm;

import java.util.List;
import java.util.Optional;

/** What is to be done next. */
public sealed interface Action {

  /** The iteration that it belongs to, from 1; 0 before training. */
  int iteration();

  /** An action that changes the worker's session. */
  sealed interface Change extends Action {
    /** The change's number: the session's count plus one. */
    long operation();
  }

  /** Draw images on held-out seeds, score them, and forget them. */
  record Evaluate(int iteration, List<Trajectory> trajectories) implements Action {}

  /** Draw trajectories, keep them on the worker, and put their images to the reward. */
  record Collect(int iteration, long operation, List<Trajectory> trajectories) implements Change {}

  /**
   * Wait for the scores of what was collected.
   *
   * @param round the iteration that collected it
   */
  record Score(int iteration, int round) implements Action {}

  /** Compare the value network with targets that it was not fitted to. */
  record AssessValue(int iteration, List<Target> targets, int batch) implements Action {}

  /** Fit the value network. */
  record FitValue(
      int iteration,
      long operation,
      List<Target> targets,
      int steps,
      int batch,
      double learningRate,
      double maxGradientNorm,
      long seed)
      implements Change {}

  /**
   * Improve the policy.
   *
   * @param learningRate of the first step
   * @param finalLearningRate of the last one
   * @param klWeight η, in units of normalised reward a nat
   * @param klBudget what the policy is held to; empty where η alone bounds the KL
   */
  record ImprovePolicy(
      int iteration,
      long operation,
      List<String> trajectoryIds,
      int steps,
      int batch,
      double learningRate,
      double finalLearningRate,
      double maxGradientNorm,
      long seed,
      double klWeight,
      Optional<KlBudget> klBudget,
      Objective objective)
      implements Change {}

  /**
   * A KL that the policy is held to.
   *
   * @param aim nats per trajectory; above it the adapter is scaled back
   * @param least below it the adapter is scaled up to the aim; 0 for never
   * @param probes fresh trajectories on which the KL is measured
   */
  record KlBudget(double aim, double least, List<Trajectory> probes) {}

  /** Forget trajectories. */
  record Release(int iteration, long operation, List<String> trajectoryIds) implements Change {}

  /** Nothing more: the adapter is ready. */
  record Finish(int iteration) implements Action {}
}
