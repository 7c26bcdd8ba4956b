package dev.vard.run;

import dev.vard.algorithm.Moments;
import dev.vard.algorithm.NotFiniteException;
import dev.vard.reward.Answer;
import dev.vard.reward.Rewards;
import dev.vard.spec.RewardSpec.Normalise;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.TreeMap;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;

/**
 * Makes one reward of the answers of its parts: Σ weight · (score − mean) / deviation.
 *
 * <p>Mean and deviation follow from the answers in the journal alone, in the order of rounds and
 * queries: whoever goes on with a run comes to the same.
 */
final class RewardSum {
  /** Its square, summed over all that a run may score, is finite. */
  private static final double LARGEST = 1.0e100;

  private final List<Rewards.Part> parts;
  private final RunJournal journal;
  private final IntUnaryOperator due;

  /** Of each part, after each iteration. */
  private final Map<Integer, List<Moments>> scales = new HashMap<>();

  /**
   * @param due how many iterations' answers are there for sure after so many iterations
   */
  RewardSum(List<Rewards.Part> parts, RunJournal journal, IntUnaryOperator due) {
    this.parts = parts;
    this.journal = journal;
    this.due = due;
  }

  /**
   * @param round whose answers are all in the journal
   * @param answers of each part, for each query
   * @return for each query, empty where a part was dropped
   */
  List<OptionalDouble> of(Round round, List<List<Answer>> answers) {
    List<Moments> scales = new ArrayList<>();
    for (int part = 0; part < parts.size(); part++) {
      scales.add(scale(part, round));
    }
    return IntStream.range(0, answers.getFirst().size())
        .mapToObj(i -> sum(parts, scales, answers.stream().map(part -> part.get(i)).toList()))
        .toList();
  }

  /**
   * One query's reward.
   *
   * @param scales of each part; not looked at where it is left raw
   * @param answers of each part
   */
  static OptionalDouble sum(List<Rewards.Part> parts, List<Moments> scales, List<Answer> answers) {
    double sum = 0;
    for (int i = 0; i < parts.size(); i++) {
      if (!(answers.get(i) instanceof Answer.Scored(double score))) {
        return OptionalDouble.empty();
      }
      boolean raw = parts.get(i).normalise() == Normalise.NONE;
      double term = parts.get(i).weight() * (raw ? score : scales.get(i).normalise(score));
      // As it is where nothing is to be added: 0 + -0.0 is another number.
      sum = i == 0 ? term : sum + term;
    }
    if (!(Math.abs(sum) <= LARGEST)) {
      throw new NotFiniteException(
          "the reward %s is too large to take a mean and deviation of: let it stay below 1e100, by"
                  .formatted(sum)
              + " smaller scores (reward.range refuses larger ones) or a smaller reward.weight");
    }
    return OptionalDouble.of(sum);
  }

  private Moments scale(int part, Round round) {
    return switch (parts.get(part).normalise()) {
      case NONE -> Moments.NONE;
      case FIXED -> upTo(part, 0);
      case RUNNING ->
          switch (round.kind()) {
            case COLLECT -> upTo(part, round.iteration());
            // An evaluation must not count what may or may not be answered by now.
            case EVALUATE -> upTo(part, due.applyAsInt(round.iteration()));
          };
    };
  }

  /** Of the first evaluation, and of so many iterations after it. Each round is read once. */
  private Moments upTo(int part, int iterations) {
    List<Moments> known = scales.computeIfAbsent(part, none -> new ArrayList<>());
    while (known.size() <= iterations) {
      int next = known.size();
      known.add(
          next == 0
              ? Moments.of(scores(new Round(Round.Kind.EVALUATE, 0, part)))
              : known.getLast().with(scores(new Round(Round.Kind.COLLECT, next, part))));
    }
    return known.get(iterations);
  }

  private List<Double> scores(Round round) {
    Map<Integer, Answer> answers = new TreeMap<>(journal.answers(round));
    return answers.values().stream()
        .filter(Answer.Scored.class::isInstance)
        .map(answer -> ((Answer.Scored) answer).score())
        .toList();
  }
}
