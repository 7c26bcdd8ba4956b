package dev.vard.spec;

import java.util.List;
import java.util.OptionalLong;

/**
 * Everything that decides a run. The same specification on the same machine gives the same bits.
 *
 * @param name letters, digits, '.', '_' and '-'
 * @param seed every random number of the run follows from it
 * @param prompts empty for unconditional models
 * @param budget most images that are scored, in training and evaluation together
 * @param worker {@code local}, {@code embedded} or {@code host:port}
 * @param threads CPU threads of the worker; {@link #ANY_THREADS} only on the way to a server
 */
public record RunSpec(
    String name,
    long seed,
    ModelSpec model,
    List<String> prompts,
    SamplerSpec sampler,
    RewardSpec reward,
    AlgorithmSpec algorithm,
    EvaluateSpec evaluate,
    OptionalLong budget,
    CheckpointSpec checkpoint,
    String worker,
    int threads) {

  /** As many as the machine that will run it has processors. */
  public static final int ANY_THREADS = 0;

  public RunSpec {
    prompts = List.copyOf(prompts);
  }

  /** How many iterations there are: those asked for, as far as the budget pays for them. */
  public int iterations() {
    return Math.min(algorithm.iterations(), affordable(budget, algorithm.samples(), evaluate));
  }

  /**
   * How many iterations' rewards have to be there before an iteration may learn. The last one waits
   * for all.
   */
  public int due(int iteration) {
    return iteration == iterations() ? iteration : Math.max(0, iteration - algorithm.staleness());
  }

  /** How many evaluations so many iterations have: one before training, one after the last. */
  public int evaluations() {
    return evaluations(iterations(), evaluate);
  }

  /** The most iterations that a budget pays for, their evaluations included. */
  static int affordable(OptionalLong budget, int samples, EvaluateSpec evaluate) {
    if (budget.isEmpty()) {
      return Integer.MAX_VALUE;
    }
    // By halves: whoever sends a specification chooses the budget, up to 2^63 - 1.
    int paid = 0;
    int unpaid = Integer.MAX_VALUE;
    while (unpaid - paid > 1) {
      int middle = paid + (unpaid - paid) / 2;
      if (cost(middle, samples, evaluate) <= budget.getAsLong()) {
        paid = middle;
      } else {
        unpaid = middle;
      }
    }
    return paid;
  }

  private static long cost(int iterations, int samples, EvaluateSpec evaluate) {
    return (long) iterations * samples
        + (long) evaluations(iterations, evaluate) * evaluate.images();
  }

  private static int evaluations(int iterations, EvaluateSpec evaluate) {
    return (int) Math.min(Integer.MAX_VALUE, 1L + Math.ceilDiv(iterations, evaluate.every()));
  }
}
