package dev.vard.algorithm;

import java.util.List;

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
   * @param klWeight η, in units of normalised reward a nat
   */
  record ImprovePolicy(
      int iteration,
      long operation,
      List<String> trajectoryIds,
      int steps,
      int batch,
      double learningRate,
      double maxGradientNorm,
      long seed,
      double klWeight,
      Objective objective)
      implements Change {}

  /** Forget trajectories. */
  record Release(int iteration, long operation, List<String> trajectoryIds) implements Change {}

  /** Nothing more: the adapter is ready. */
  record Finish(int iteration) implements Action {}
}
