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

  /** Whether the method, or a bound on the KL, means anything only where the chain has noise. */
  public boolean needsNoise() {
    return algorithm instanceof AlgorithmSpec.DdpoSpec
        || !(algorithm.kl() instanceof KlSpec.KlWeight(double weight) && weight == 0);
  }

  /**
   * The most iterations that a budget pays for, their evaluations included: k iterations of s
   * samples, an evaluation of m images before the first and after every e, and one at the end.
   */
  static int affordable(OptionalLong budget, int samples, EvaluateSpec evaluate) {
    if (budget.isEmpty()) {
      return Integer.MAX_VALUE;
    }
    long images = evaluate.images();
    long training = Math.max(0, budget.getAsLong() - images);
    long period = (long) evaluate.every() * samples + images;
    long periods = training / period;
    // Of an unfinished period, as many iterations as leave enough for the last evaluation.
    long rest = Math.max(0, (training % period - images) / samples);
    return (int) Math.min(Integer.MAX_VALUE, periods * evaluate.every() + rest);
  }

  private static int evaluations(int iterations, EvaluateSpec evaluate) {
    return (int) Math.min(Integer.MAX_VALUE, 1L + Math.ceilDiv(iterations, evaluate.every()));
  }
}
