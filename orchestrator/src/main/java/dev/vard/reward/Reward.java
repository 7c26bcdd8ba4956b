package dev.vard.reward;

import dev.vard.spec.RewardSpec;
import java.util.List;
import java.util.function.ToDoubleBiFunction;

/**
 * A black box that says how good images are. Need not be differentiable; larger is better.
 *
 * <p>Called by several threads at once, while the worker goes on sampling.
 */
public interface Reward {

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

  /**
   * The built-in reward that a specification names.
   *
   * @throws IllegalArgumentException for {@link RewardSpec.Supplied}, which only a Java program can
   *     bring
   */
  static Reward of(RewardSpec spec) {
    return switch (spec) {
      case RewardSpec.JpegCompressibility(int quality) -> {
        JpegSize size = new JpegSize(quality);
        yield of("jpeg-compressibility", (image, prompt) -> -size.kilobytes(image));
      }
      case RewardSpec.JpegIncompressibility(int quality) -> {
        JpegSize size = new JpegSize(quality);
        yield of("jpeg-incompressibility", (image, prompt) -> size.kilobytes(image));
      }
      case RewardSpec.Supplied() ->
          throw new IllegalArgumentException(
              "reward.kind is supplied: the Java program that starts the run has to bring the"
                  + " reward");
    };
  }
}
