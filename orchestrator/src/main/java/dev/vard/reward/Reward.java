package dev.vard.reward;

import dev.vard.spec.AskingSpec.Range;
import java.util.List;
import java.util.Optional;
import java.util.function.ToDoubleBiFunction;

/**
 * A black box that says how good images are. Need not be differentiable; larger is better.
 *
 * <p>Called by several threads at once, while the worker goes on sampling. What it gives for a
 * query must not depend on what else is in the call.
 */
public interface Reward extends AutoCloseable {

  /** Names it in errors. */
  String name();

  /**
   * Scores images.
   *
   * @return an outcome for each query, in their order. An exception is a failure of all of them.
   */
  List<RewardOutcome> score(List<RewardQuery> queries) throws Exception;

  /**
   * Most images in one call. One at a time is best for a reward that computes here: all threads get
   * work.
   */
  default int batch() {
    return 1;
  }

  /** Most calls under way at once. */
  default int concurrency() {
    return Runtime.getRuntime().availableProcessors();
  }

  /** What scores lie in; others are refused. Empty where it does not say. */
  default Optional<Range> range() {
    return Optional.empty();
  }

  /** Lets go of what it holds. Called once, when nothing is asked any more. */
  @Override
  default void close() {}

  /**
   * A reward of a Java function of image and prompt. The function must bear several threads at
   * once.
   */
  static Reward of(String name, ToDoubleBiFunction<Image, String> function) {
    return new Reward() {
      @Override
      public String name() {
        return name;
      }

      @Override
      public List<RewardOutcome> score(List<RewardQuery> queries) {
        return queries.stream()
            .<RewardOutcome>map(
                query ->
                    new RewardOutcome.Score(function.applyAsDouble(query.image(), query.prompt())))
            .toList();
      }
    };
  }
}
