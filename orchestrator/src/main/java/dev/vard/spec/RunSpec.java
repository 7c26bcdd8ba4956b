package dev.vard.spec;

import java.util.List;

/**
 * Everything that decides a run. The same specification on the same machine gives the same bits.
 *
 * @param name letters, digits, '.', '_' and '-'
 * @param seed every random number of the run follows from it
 * @param prompts empty for unconditional models
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
    CheckpointSpec checkpoint,
    String worker,
    int threads) {

  /** As many as the machine that will run it has processors. */
  public static final int ANY_THREADS = 0;

  public RunSpec {
    prompts = List.copyOf(prompts);
  }
}
