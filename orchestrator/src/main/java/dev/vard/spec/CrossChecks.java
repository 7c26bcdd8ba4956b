package dev.vard.spec;

import dev.vard.spec.SpecProblem.Code;
import dev.vard.spec.ValueType.Decimal;
import dev.vard.spec.ValueType.Whole;
import java.util.Optional;
import java.util.OptionalLong;

/** What keys must hold together. */
final class CrossChecks {
  static final Key<Double> GUIDANCE = Keys.at("sampler.guidance", Decimal.class);
  static final Key<Long> ITERATIONS = Keys.at("algorithm.iterations", Whole.class);
  static final Key<Long> SAMPLES = Keys.at("algorithm.samples", Whole.class);
  static final Key<Long> WARMUP = Keys.at("algorithm.value.warmup", Whole.class);
  static final Key<Long> VALUE_STEPS = Keys.at("algorithm.value.steps", Whole.class);
  static final Key<Long> VALUE_AHEAD = Keys.at("algorithm.value.ahead", Whole.class);
  static final Key<Double> KL_BUDGET = Keys.at("algorithm.kl.budget", Decimal.class);
  static final Key<Long> KL_PROBES = Keys.at("algorithm.kl.probes", Whole.class);
  static final Key<Double> KL_WEIGHT = Keys.at("algorithm.kl.weight", Decimal.class);
  static final Key<Long> EVERY = Keys.at("evaluate.every", Whole.class);
  static final Key<Long> IMAGES = Keys.at("evaluate.images", Whole.class);
  static final Key<Long> BUDGET = Keys.at("budget.queries", Whole.class);

  private final Given given;

  CrossChecks(Given given) {
    this.given = given;
  }

  /** What keys must hold together. */
  void check() {
    if (given.has("algorithm.kl")) {
      boolean budget = given.has(KL_BUDGET);
      boolean weight = given.has(KL_WEIGHT);
      if (budget && weight) {
        given.add(
            Code.CONFLICT,
            given.later(KL_BUDGET, KL_WEIGHT),
            "algorithm.kl",
            "has both budget and weight; remove one (on the command line, replace both:"
                + " --set 'algorithm.kl={weight: 0.02}')");
      } else if (weight && given.has(KL_PROBES)) {
        given.add(
            Code.CONFLICT,
            given.later(KL_PROBES, KL_WEIGHT),
            KL_PROBES.path(),
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
    if (unconditional && given.find(GUIDANCE).filter(guidance -> guidance != 1).isPresent()) {
      given.add(
          Code.CONFLICT,
          given.origin(GUIDANCE),
          GUIDANCE.path(),
          given.get(GUIDANCE)
              + " needs prompts; give prompts.file or prompts.list, or a guidance of 1");
    }
    checkAhead();
    Optional<Long> warmup = given.find(WARMUP);
    Optional<Long> iterations = given.find(ITERATIONS);
    checkBudget(warmup.orElse(0L));
    if (warmup.isPresent() && iterations.isPresent() && warmup.get() >= iterations.get()) {
      Key<?> blamed = given.has(WARMUP) ? WARMUP : ITERATIONS;
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
    Optional<Long> ahead = given.find(VALUE_AHEAD);
    Optional<Long> steps = given.find(VALUE_STEPS);
    if (ahead.isPresent() && steps.isPresent() && ahead.get() >= steps.get()) {
      given.refuse(
          VALUE_AHEAD,
          "leaves none of the "
              + steps.get()
              + " steps for this iteration's trajectories; give fewer, or more for"
              + " algorithm.value.steps");
    }
  }

  /** A budget that pays for no training is a mistake. */
  private void checkBudget(long warmup) {
    Optional<Long> budget = given.find(BUDGET);
    Optional<Long> samples = given.find(SAMPLES);
    Optional<Long> every = given.find(EVERY);
    Optional<Long> images = given.find(IMAGES);
    if (budget.isEmpty() || samples.isEmpty() || every.isEmpty() || images.isEmpty()) {
      return;
    }
    EvaluateSpec evaluate = new EvaluateSpec(given.whole(EVERY), given.whole(IMAGES));
    OptionalLong queries = OptionalLong.of(budget.get());
    long iterations = RunSpec.affordable(queries, given.whole(SAMPLES), evaluate);
    if (iterations <= warmup) {
      given.refuse(
          BUDGET,
          "pays for "
              + iterations
              + " iterations with their evaluations, none of which improves the policy; give"
              + " more, or less for algorithm.samples or evaluate.images");
    }
  }
}
