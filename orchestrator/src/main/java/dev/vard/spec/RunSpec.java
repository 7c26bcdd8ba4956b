package dev.vard.spec;

import java.util.List;
import java.util.OptionalLong;

/**
 * Everything that decides a run. The same specification on the same machine gives the same bits.
 *
 * @param prompts empty for unconditional models
 * @param threads {@link #ANY_THREADS} only on the way to a server
 */
public record RunSpec(
    @SpecKey(
            text = "Names the run; its id is the name and the time.",
            pattern = Forms.NAME,
            form = Forms.NAME_FORM)
        String name,
    @SpecKey(text = "Every random number follows from it.", in = "[0, ∞)", byDefault = "7")
        long seed,
    ModelSpec model,
    @SpecKey(
            text = "The prompts, one a line; blank lines and lines that begin with # do not count.",
            name = "prompts.file",
            form = "a text file with a prompt a line",
            type = String.class,
            without = "`prompts.list`, or an unconditional model")
        @SpecKey(
            text = "The prompts themselves; one that stands twice is drawn twice as often.",
            name = "prompts.list",
            form = "a list of prompts",
            longest = PromptFile.LONGEST,
            distinct = false,
            without = "`prompts.file`, or an unconditional model")
        List<String> prompts,
    SamplerSpec sampler,
    RewardSpec reward,
    AlgorithmSpec algorithm,
    EvaluateSpec evaluate,
    @SpecKey(
            text =
                "Most images that are scored, in training and evaluation together: the run ends"
                    + " with the last iteration that this pays for. Images that the cache knows"
                    + " count too.",
            name = "budget.queries",
            in = "[1, ∞)",
            without = "no bound")
        OptionalLong budget,
    CheckpointSpec checkpoint,
    @SpecKey(
            text =
                "Where the model runs: a process that the program starts, inside the program, or a"
                    + " worker that already serves and sees the same files.",
            pattern = "local|embedded|[^ \\t-\\r]+:\\d{1,5}",
            form = "local, embedded or host:port",
            byDefault = RunSpec.DEFAULT_WORKER)
        String worker,
    @SpecKey(
            text =
                "CPU threads of a worker that the program starts. Another number may give other"
                    + " bits.",
            in = "[1, 4096]",
            without = "as many as there are processors")
        int threads) {

  /** As many as the machine that will run it has processors. */
  public static final int ANY_THREADS = 0;

  static final String DEFAULT_WORKER = "local";

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
