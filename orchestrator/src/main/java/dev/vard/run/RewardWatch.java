package dev.vard.run;

import dev.vard.algorithm.Action;
import dev.vard.algorithm.Outcome;
import dev.vard.algorithm.Trajectory;
import dev.vard.reward.Answer;
import dev.vard.reward.Rewards;
import dev.vard.run.RunEvent.Warned;
import dev.vard.spec.AlgorithmSpec.DdpoSpec;
import dev.vard.spec.AlgorithmSpec.VardSpec;
import dev.vard.spec.RunSpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * Looks for a reward that teaches nothing: warns of a round whose scores are all equal, and stops
 * the run where those of the whole warm-up are, before the policy learns from noise.
 *
 * <p>What it finds follows from the answers in the journal alone: whoever goes on with a run finds
 * the same.
 */
final class RewardWatch {
  static final String CONSTANT = "REWARD_CONSTANT";
  static final String IGNORES_IMAGE = "REWARD_IGNORES_IMAGE";

  /** Scores that lie nearer together are told apart by rounding alone: 2 ulp of a 32-bit float. */
  private static final double RESOLUTION = 0x1p-22;

  /** So many images must share their prompt with another, before equal scores are no accident. */
  private static final int SHARED = 8;

  /** Rounds that a method without a warm-up is given. */
  private static final int WITHOUT_WARMUP = 2;

  private final RunSpec spec;
  private final List<Rewards.Part> parts;
  private final RunJournal journal;
  private final Function<Round, List<OptionalDouble>> rewards;

  /**
   * @param rewards of a collection that was awaited before
   */
  RewardWatch(
      RunSpec spec,
      List<Rewards.Part> parts,
      RunJournal journal,
      Function<Round, List<OptionalDouble>> rewards) {
    this.spec = spec;
    this.parts = parts;
    this.journal = journal;
    this.rewards = rewards;
  }

  /**
   * What is odd about the scores that an action came to.
   *
   * @throws RunException REWARD_CONSTANT if no round of the warm-up has scores that differ
   */
  List<Warned> after(Action action, Outcome outcome) {
    if (action instanceof Action.Score(int iteration, int number)
        && outcome instanceof Outcome.Rewarded(List<OptionalDouble> scores)) {
      Round round = new Round(Round.Kind.COLLECT, number);
      stopIfNothingCanBeLearnt(number, Spread.of(scores));
      return constant(round, iteration, "of iteration " + number, Spread.of(scores));
    }
    if (action instanceof Action.Evaluate(int done, List<Trajectory> trajectories)
        && done == 0
        && outcome instanceof Outcome.Evaluated(List<OptionalDouble> scores)) {
      Round round = new Round(Round.Kind.EVALUATE, 0);
      List<Warned> found =
          new ArrayList<>(constant(round, 0, "of the first evaluation", Spread.of(scores)));
      if (found.isEmpty() && looksAtThePromptAlone(trajectories, scores)) {
        found.add(
            new Warned(
                0,
                IGNORES_IMAGE,
                name()
                    + ": the scores of the first evaluation differ between prompts, but never"
                    + " between images of the same prompt; check that the reward looks at the"
                    + " image"));
      }
      return found;
    }
    return List.of();
  }

  /** The whole reward's warning, or else those of its parts; each once for rounds in a row. */
  private List<Warned> constant(Round round, int iteration, String of, Spread whole) {
    if (whole.constant()) {
      return before(round, before -> Spread.of(rewards.apply(before)))
          ? List.of()
          : List.of(warning(iteration, name(), of, whole));
    }
    if (parts.size() == 1) {
      return List.of();
    }
    List<Warned> found = new ArrayList<>();
    for (int i = 0; i < parts.size(); i++) {
      int part = i;
      Spread spread = ofPart(round, part);
      if (spread.constant() && !before(round, before -> ofPart(before, part))) {
        found.add(warning(iteration, "reward " + parts.get(part).name(), of, spread));
      }
    }
    return found;
  }

  private static Warned warning(int iteration, String name, String of, Spread spread) {
    return new Warned(
        iteration,
        CONSTANT,
        String.format(
            Locale.ROOT,
            "%s: all %d scores %s are %s, and equal scores teach nothing; check that the reward"
                + " looks at the image and tells such images apart",
            name,
            spread.count(),
            of,
            spread.least()));
  }

  /** Whether the training round before was constant, too. */
  private static boolean before(Round round, Function<Round, Spread> spread) {
    return round.iteration() > 1
        && spread.apply(new Round(Round.Kind.COLLECT, round.iteration() - 1)).constant();
  }

  private void stopIfNothingCanBeLearnt(int number, Spread last) {
    boolean constant =
        number == patience()
            && last.constant()
            && IntStream.range(1, number)
                .mapToObj(i -> Spread.of(rewards.apply(new Round(Round.Kind.COLLECT, i))))
                .allMatch(Spread::constant);
    if (constant) {
      throw new RunException(
          CONSTANT,
          ("%s: in %s all scores were equal (%s in the last), and equal scores teach nothing; check"
                  + " the reward on images that differ (vard reward SPEC --images DIR) and start a"
                  + " new run; if scores differ rarely, give more for algorithm.samples%s")
              .formatted(
                  name(),
                  number == 1
                      ? "the first iteration"
                      : "each of the first " + number + " iterations",
                  last.least(),
                  spec.algorithm() instanceof VardSpec ? " or algorithm.value.warmup" : ""));
    }
  }

  /** So many iterations may have equal scores. */
  private int patience() {
    int rounds =
        switch (spec.algorithm()) {
          // The first iterations fix the reward's scale.
          case VardSpec vard -> Math.max(1, vard.value().warmup());
          case DdpoSpec ddpo -> WITHOUT_WARMUP;
        };
    return Math.min(rounds, spec.iterations());
  }

  private String name() {
    return parts.size() == 1 ? "reward " + parts.getFirst().name() : "the sum of rewards";
  }

  private Spread ofPart(Round round, int part) {
    return Spread.of(
        journal.answers(round.of(part)).values().stream()
            .map(
                answer ->
                    answer instanceof Answer.Scored(double score)
                        ? OptionalDouble.of(score)
                        : OptionalDouble.empty())
            .toList());
  }

  private static boolean looksAtThePromptAlone(
      List<Trajectory> trajectories, List<OptionalDouble> scores) {
    Map<String, Set<Double>> ofPrompts = new HashMap<>();
    int scored = 0;
    for (int i = 0; i < scores.size(); i++) {
      if (scores.get(i).isPresent()) {
        scored++;
        ofPrompts
            .computeIfAbsent(trajectories.get(i).prompt(), prompt -> new HashSet<>())
            .add(scores.get(i).getAsDouble());
      }
    }
    return scored - ofPrompts.size() >= SHARED
        && ofPrompts.values().stream().allMatch(of -> of.size() == 1);
  }

  /** Of the scores that there are. */
  private record Spread(int count, double least, double most) {
    static Spread of(List<OptionalDouble> scores) {
      double[] there =
          scores.stream()
              .filter(OptionalDouble::isPresent)
              .mapToDouble(OptionalDouble::getAsDouble)
              .toArray();
      return new Spread(
          there.length, Arrays.stream(there).min().orElse(0), Arrays.stream(there).max().orElse(0));
    }

    boolean constant() {
      return count > 1 && most - least <= RESOLUTION * Math.max(Math.abs(least), Math.abs(most));
    }
  }
}
