package dev.vard.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.vard.reward.Answer;
import dev.vard.reward.Reward;
import dev.vard.reward.Rewards;
import dev.vard.spec.AskingSpec;
import dev.vard.spec.RewardSource;
import dev.vard.spec.RewardSpec.Normalise;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

class RewardSumTest {
  private static final Round FIRST = new Round(Round.Kind.EVALUATE, 0);

  private final RunJournal journal = new MemoryJournal();

  private static Rewards.Part part(String name, double weight, Normalise normalise) {
    return new Rewards.Part(
        name,
        weight,
        normalise,
        AskingSpec.of(new RewardSource.Supplied()),
        Reward.of(name, (image, prompt) -> 0));
  }

  /** Writes scores down, NaN for one that was dropped, and gives them back. */
  private List<Answer> answered(Round round, double... scores) {
    List<Answer> answers = new ArrayList<>();
    for (int i = 0; i < scores.length; i++) {
      Answer answer =
          Double.isNaN(scores[i]) ? new Answer.Dropped("GONE") : new Answer.Scored(scores[i]);
      journal.answered(round, i, answer, "");
      answers.add(answer);
    }
    return answers;
  }

  private List<OptionalDouble> sum(
      Round round, List<Rewards.Part> parts, List<List<Answer>> answers) {
    return new RewardSum(parts, journal, iteration -> iteration).of(round, answers);
  }

  private static List<Double> numbers(List<OptionalDouble> rewards) {
    return rewards.stream().map(reward -> reward.orElse(Double.NaN)).toList();
  }

  @Test
  void shouldLeaveARawRewardAsItIs() {
    List<Answer> answers = answered(FIRST, 0.1 + 0.2, -0.0, 1e30);

    assertThat(numbers(sum(FIRST, List.of(part("a", 1, Normalise.NONE)), List.of(answers))))
        .containsExactly(0.1 + 0.2, -0.0, 1e30);
  }

  @Test
  void shouldAddWhatIsNormalisedByTheFirstEvaluation() {
    answered(FIRST, 1, 3); // mean 2, deviation 1
    answered(FIRST.of(1), 10, 50); // mean 30, deviation 20
    Round round = new Round(Round.Kind.COLLECT, 5);
    List<Answer> a = answered(round, 4, 2);
    List<Answer> b = answered(round.of(1), 10, 70);

    List<Rewards.Part> parts =
        List.of(part("a", 1, Normalise.FIXED), part("b", -0.5, Normalise.FIXED));

    assertThat(numbers(sum(round, parts, List.of(a, b)))).containsExactly(2 + 0.5, 0 - 1.0);
  }

  @Test
  void shouldCountTrainingImagesWhereTheScaleRuns() {
    answered(FIRST, 1, 3);
    answered(new Round(Round.Kind.COLLECT, 1), 5, 7);
    Round round = new Round(Round.Kind.COLLECT, 2);
    List<Answer> answers = answered(round, 9, 11);
    answered(new Round(Round.Kind.COLLECT, 3), 1000, 2000); // not yet

    // 1, 3, 5, 7, 9, 11: mean 6, deviation √(70 / 6).
    List<OptionalDouble> rewards =
        sum(round, List.of(part("a", 1, Normalise.RUNNING)), List.of(answers));

    assertThat(rewards.get(0).getAsDouble()).isEqualTo(3 / Math.sqrt(70 / 6.0), within(1e-12));
    assertThat(rewards.get(1).getAsDouble()).isEqualTo(5 / Math.sqrt(70 / 6.0), within(1e-12));
  }

  @Test
  void shouldNotCountForAnEvaluationWhatMayNotBeAnsweredYet() {
    answered(FIRST, 1, 3);
    answered(new Round(Round.Kind.COLLECT, 1), 5, 7);
    answered(new Round(Round.Kind.COLLECT, 2), 1000, 2000);
    Round evaluation = new Round(Round.Kind.EVALUATE, 2);
    List<Answer> answers = answered(evaluation, 4);

    // With rewards an iteration late, those of iteration 2 may or may not be there: mean 4.
    RewardSum late =
        new RewardSum(
            List.of(part("a", 1, Normalise.RUNNING)), journal, iteration -> iteration - 1);

    assertThat(numbers(late.of(evaluation, List.of(answers)))).containsExactly(0.0);
  }

  @Test
  void shouldDropASampleThatOnePartDropped() {
    List<Answer> a = answered(FIRST, 1, 2, 3);
    List<Answer> b = answered(FIRST.of(1), 5, Double.NaN, 7);

    assertThat(
            sum(
                FIRST,
                Arrays.asList(part("a", 1, Normalise.NONE), part("b", 1, Normalise.NONE)),
                List.of(a, b)))
        .containsExactly(OptionalDouble.of(6), OptionalDouble.empty(), OptionalDouble.of(10));
  }
}
