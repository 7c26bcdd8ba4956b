package dev.vard.serve;

import dev.vard.serve.RequestException.Code;
import dev.vard.spec.AlgorithmSpec;
import dev.vard.spec.AlgorithmSpec.DdpoSpec;
import dev.vard.spec.AlgorithmSpec.VardSpec;
import dev.vard.spec.RunSpec;

/**
 * What a run may cost at most.
 *
 * @param queries images that its reward scores, in training and evaluation
 * @param passes passes of one image through a network: a denoising step of a trajectory, or a
 *     (trajectory, t) pair of a gradient step
 */
record RunCost(long queries, long passes) {

  static RunCost of(RunSpec spec) {
    AlgorithmSpec algorithm = spec.algorithm();
    // The keys' own bounds keep every product far below 2^63.
    long iterations = spec.iterations();
    long queries =
        iterations * algorithm.samples() + (long) spec.evaluations() * spec.evaluate().images();
    long policy = (long) algorithm.policy().steps() * algorithm.policy().batch();
    long training =
        switch (algorithm) {
          case VardSpec vard ->
              (iterations - vard.value().warmup()) * policy
                  + iterations * vard.value().steps() * vard.value().batch();
          case DdpoSpec ddpo -> iterations * policy;
        };
    return new RunCost(queries, queries * spec.sampler().steps() + training);
  }

  /**
   * @throws RequestException INVALID_ARGUMENT, with the run's own number and the limit
   */
  void require(ServeSettings settings) {
    if (queries > settings.maxQueries()) {
      throw tooMuch(
          "%d reward queries (images scored in training and evaluation) above this server's limit of %d: give less for algorithm.iterations, algorithm.samples or evaluate.images, or set budget.queries"
              .formatted(queries, settings.maxQueries()));
    }
    if (passes > settings.maxPasses()) {
      throw tooMuch(
          "%d passes of an image through a network (images x denoising steps, and gradient steps x batch) above this server's limit of %d: give less for algorithm.iterations, algorithm.samples, sampler.steps, or the steps and batches of algorithm.policy and algorithm.value"
              .formatted(passes, settings.maxPasses()));
    }
  }

  private static RequestException tooMuch(String what) {
    return new RequestException(
        Code.INVALID_ARGUMENT, "specification", "specification: this run may cost " + what);
  }
}
