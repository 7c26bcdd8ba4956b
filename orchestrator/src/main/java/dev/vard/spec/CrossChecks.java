package dev.vard.spec;

import dev.vard.spec.SpecProblem.Code;
import java.util.Optional;
import java.util.OptionalLong;

/** What keys must hold together. */
final class CrossChecks {
  private final Given given;

  CrossChecks(Given given) {
    this.given = given;
  }

  /** What keys must hold together. */
  void check() {
    if (given.has("algorithm.kl")) {
      boolean budget = given.has(AlgorithmKeys.KL_BUDGET);
      boolean weight = given.has(AlgorithmKeys.KL_WEIGHT);
      if (budget && weight) {
        given.add(
            Code.CONFLICT,
            given.later(AlgorithmKeys.KL_BUDGET, AlgorithmKeys.KL_WEIGHT),
            "algorithm.kl",
            "has both budget and weight; remove one (on the command line, replace both:"
                + " --set 'algorithm.kl={weight: 0.02}')");
      } else if (weight && given.has(AlgorithmKeys.KL_PROBES)) {
        given.add(
            Code.CONFLICT,
            given.later(AlgorithmKeys.KL_PROBES, AlgorithmKeys.KL_WEIGHT),
            AlgorithmKeys.KL_PROBES.path(),
            "measures what a budget holds, and there is a weight; give a budget, or remove it");
      } else if (!budget && !weight && !given.hasProblem("algorithm.kl")) {
        given.add(
            Code.CONFLICT,
            given.origin("algorithm.kl"),
            "algorithm.kl",
            "has neither budget nor weight; give one");
      }
    }
    boolean unconditional = !given.has("prompts");
    if (unconditional && given.find(Keys.GUIDANCE).filter(guidance -> guidance != 1).isPresent()) {
      given.add(
          Code.CONFLICT,
          given.origin(Keys.GUIDANCE),
          Keys.GUIDANCE.path(),
          given.get(Keys.GUIDANCE)
              + " needs prompts; give prompts.file or prompts.list, or a guidance of 1");
    }
    checkAhead();
    Optional<Long> warmup = given.find(AlgorithmKeys.WARMUP);
    Optional<Long> iterations = given.find(AlgorithmKeys.ITERATIONS);
    checkBudget(warmup.orElse(0L));
    if (warmup.isPresent() && iterations.isPresent() && warmup.get() >= iterations.get()) {
      Key<?> blamed =
          given.has(AlgorithmKeys.WARMUP) ? AlgorithmKeys.WARMUP : AlgorithmKeys.ITERATIONS;
      given.add(
          Code.CONFLICT,
          given.origin(blamed),
          blamed.path(),
          "a warm-up of "
              + warmup.get()
              + " leaves none of "
              + iterations.get()
              + " iterations to improve the policy; give fewer for algorithm.value.warmup, or"
              + " more for algorithm.iterations");
    }
  }

  private void checkAhead() {
    Optional<Long> ahead = given.find(AlgorithmKeys.VALUE_AHEAD);
    Optional<Long> steps = given.find(AlgorithmKeys.VALUE_STEPS);
    if (ahead.isPresent() && steps.isPresent() && ahead.get() >= steps.get()) {
      given.refuse(
          AlgorithmKeys.VALUE_AHEAD,
          "leaves none of the "
              + steps.get()
              + " steps for this iteration's trajectories; give fewer, or more for"
              + " algorithm.value.steps");
    }
  }

  /** A budget that pays for no training is a mistake. */
  private void checkBudget(long warmup) {
    Optional<Long> budget = given.find(Keys.BUDGET);
    Optional<Long> samples = given.find(AlgorithmKeys.SAMPLES);
    Optional<Long> every = given.find(Keys.EVERY);
    Optional<Long> images = given.find(Keys.IMAGES);
    if (budget.isEmpty() || samples.isEmpty() || every.isEmpty() || images.isEmpty()) {
      return;
    }
    EvaluateSpec evaluate = new EvaluateSpec(given.whole(Keys.EVERY), given.whole(Keys.IMAGES));
    OptionalLong queries = OptionalLong.of(budget.get());
    long iterations = RunSpec.affordable(queries, given.whole(AlgorithmKeys.SAMPLES), evaluate);
    if (iterations <= warmup) {
      given.refuse(
          Keys.BUDGET,
          "pays for "
              + iterations
              + " iterations with their evaluations, none of which improves the policy; give"
              + " more, or less for algorithm.samples or evaluate.images");
    }
  }
}
