package dev.vard.algorithm;

/**
 * How far a run is.
 *
 * @param iteration the one in hand, from 1; 0 before training
 * @param step what is done next in it
 * @param operation number of the last change made to the worker's session
 * @param rewardQueries images scored for training so far
 * @param evaluationQueries images scored for evaluation so far
 */
public record Progress(
    int iteration, Step step, long operation, int rewardQueries, int evaluationQueries) {

  static final Progress START = new Progress(0, Step.EVALUATE, 0, 0, 0);

  /** Iterations that lie behind it, evaluations aside. */
  public int iterationsDone() {
    return switch (step) {
      case EVALUATE, FINISH -> iteration;
      case COLLECT, AHEAD, SCORE, ASSESS, FIT, IMPROVE, RELEASE -> iteration - 1;
    };
  }

  Progress to(Step step) {
    return new Progress(iteration, step, operation, rewardQueries, evaluationQueries);
  }

  /** After a change to the session. */
  Progress changed(Step step) {
    return new Progress(iteration, step, operation + 1, rewardQueries, evaluationQueries);
  }

  Progress scored(int queries, Step step) {
    return new Progress(iteration, step, operation, rewardQueries + queries, evaluationQueries);
  }

  Progress evaluated(int queries) {
    return new Progress(iteration, step, operation, rewardQueries, evaluationQueries + queries);
  }

  Progress nextIteration() {
    return new Progress(iteration + 1, Step.COLLECT, operation, rewardQueries, evaluationQueries);
  }
}
