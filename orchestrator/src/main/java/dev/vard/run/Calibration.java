package dev.vard.run;

import dev.vard.algorithm.Moments;
import dev.vard.reward.Answer;
import dev.vard.reward.Image;
import dev.vard.reward.RewardMetrics;
import dev.vard.reward.RewardMetrics.Percentiles;
import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.reward.RewardQuery;
import dev.vard.reward.RewardRound;
import dev.vard.reward.RewardScorer;
import dev.vard.reward.Rewards;
import dev.vard.spec.RewardSpec;
import dev.vard.spec.RewardSpec.Normalise;
import dev.vard.spec.RewardSpec.OnFailure;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;

/**
 * What a reward says of given images, asked as a run asks it: so that it can be tried before a run
 * is paid for.
 *
 * @param images the best first, those without a score last
 * @param scores of the sum, where there are several parts or one that is normalised
 * @param constant whether images that differ all have the same score, of which a run learns nothing
 * @param seconds from the first image to the last answer, reading them included
 */
public record Calibration(
    List<Scored> images,
    Optional<Summary> scores,
    boolean constant,
    List<Part> parts,
    double seconds) {

  /** An image to be scored. */
  public record Given(Path file, String prompt) {}

  /**
   * One image.
   *
   * @param score what is made large; empty where a part failed
   * @param parts of each part of the reward, what it gave
   */
  public record Scored(
      String file, String prompt, Optional<Double> score, List<Optional<Double>> parts) {}

  /**
   * One part of the reward.
   *
   * @param scores as it gave them, before they are normalised and weighted
   * @param calls in which it was asked
   * @param retried queries that were asked again, each time
   * @param latency of calls, in seconds
   */
  public record Part(
      String name,
      double weight,
      Summary scores,
      int calls,
      int retried,
      List<Failed> failures,
      Percentiles latency) {}

  /**
   * Queries that failed for good in the same way.
   *
   * @param file one of the images
   * @param message of that one
   */
  public record Failed(String code, int count, String file, String message) {}

  /** NaN where nothing was scored; the deviation is the population's. */
  public record Summary(int count, double mean, double deviation, double least, double most) {
    static Summary of(List<Double> scores) {
      double mean = scores.stream().mapToDouble(s -> s).average().orElse(Double.NaN);
      double variance =
          scores.stream().mapToDouble(s -> (s - mean) * (s - mean)).average().orElse(Double.NaN);
      return new Summary(
          scores.size(),
          mean,
          Math.sqrt(variance),
          scores.stream().mapToDouble(s -> s).min().orElse(Double.NaN),
          scores.stream().mapToDouble(s -> s).max().orElse(Double.NaN));
    }
  }

  public Calibration {
    images = List.copyOf(images);
    parts = List.copyOf(parts);
  }

  /** Whether every image has a score of every part. */
  public boolean complete() {
    return images.stream().allMatch(image -> image.score().isPresent());
  }

  /** A specification's reward that goes on whatever fails, so that all failures are seen. */
  public static RewardSpec patient(RewardSpec reward) {
    return new RewardSpec(reward.parts(), OnFailure.DROP, 1, reward.cache());
  }

  /**
   * Scores images. Parts that a run normalises are normalised by these images.
   *
   * @param rewards of a {@link #patient} specification
   */
  public static Calibration of(Rewards rewards, List<Given> images) throws InterruptedException {
    long begin = System.nanoTime();
    int parts = rewards.parts().size();
    // Filled while the round goes on: that a file cannot be read is known when it is its turn.
    List<Map<Integer, Answer>> known =
        IntStream.range(0, parts).<Map<Integer, Answer>>mapToObj(i -> new HashMap<>()).toList();
    FailureLedger failures = new FailureLedger(parts);
    int[] contents = new int[images.size()];
    try (RewardScorer scorer = new RewardScorer(rewards)) {
      RewardRound round = scorer.round(images.size(), known, failures);
      for (int i = 0; i < images.size(); i++) {
        Given given = images.get(i);
        try {
          Image image = Image.read(given.file());
          contents[i] = Arrays.hashCode(image.toBytes());
          round.add(new RewardQuery(image, given.prompt(), i, "calibration", 0));
        } catch (IOException e) {
          for (int part = 0; part < parts; part++) {
            known.get(part).put(i, new Answer.Dropped("UNREADABLE"));
            failures.failed(
                part, i, new Failure("UNREADABLE", String.valueOf(e.getMessage()), false));
          }
          round.addKnown();
        }
      }
      List<List<Answer>> answers = round.await();
      double seconds = (System.nanoTime() - begin) / 1e9;
      return of(rewards, images, contents, answers, failures, round.metrics(), seconds);
    }
  }

  private static Calibration of(
      Rewards rewards,
      List<Given> images,
      int[] contents,
      List<List<Answer>> answers,
      FailureLedger failures,
      RewardMetrics metrics,
      double seconds) {
    List<Part> parts = new ArrayList<>();
    List<Moments> scales = new ArrayList<>();
    for (int i = 0; i < answers.size(); i++) {
      List<Double> scores = answers.get(i).stream().flatMap(a -> score(a).stream()).toList();
      Rewards.Part part = rewards.parts().get(i);
      RewardMetrics.Part asked = metrics.parts().get(i);
      scales.add(part.normalise() == Normalise.NONE ? Moments.NONE : Moments.of(scores));
      parts.add(
          new Part(
              part.name(),
              part.weight(),
              Summary.of(scores),
              asked.calls(),
              asked.retried(),
              failures.of(i, images),
              asked.latency()));
    }
    List<Scored> scored = new ArrayList<>();
    Set<Integer> differing = new HashSet<>();
    Set<Double> distinct = new HashSet<>();
    for (int i = 0; i < images.size(); i++) {
      int index = i;
      List<Answer> given = answers.stream().map(part -> part.get(index)).toList();
      OptionalDouble sum = RewardSum.sum(rewards.parts(), scales, given);
      if (sum.isPresent()) {
        differing.add(contents[i]);
        distinct.add(sum.getAsDouble());
      }
      scored.add(
          new Scored(
              images.get(i).file().getFileName().toString(),
              images.get(i).prompt(),
              sum.stream().boxed().findFirst(),
              given.stream().map(Calibration::score).toList()));
    }
    scored.sort(
        Comparator.comparing(image -> image.score().map(s -> -s).orElse(Double.POSITIVE_INFINITY)));
    boolean several = rewards.parts().size() > 1 || scales.getFirst().count() > 0;
    Optional<Summary> sums =
        several
            ? Optional.of(
                Summary.of(scored.stream().flatMap(image -> image.score().stream()).toList()))
            : Optional.empty();
    boolean constant = differing.size() > 1 && distinct.size() == 1;
    return new Calibration(scored, sums, constant, parts, seconds);
  }

  private static Optional<Double> score(Answer answer) {
    return switch (answer) {
      case Answer.Scored(double score) -> Optional.of(score);
      case Answer.Dropped dropped -> Optional.empty();
    };
  }

  /** Keeps failures alone. */
  private static final class FailureLedger implements RewardScorer.Ledger {
    private final List<Map<Integer, Failure>> failures;

    FailureLedger(int parts) {
      failures =
          IntStream.range(0, parts)
              .<Map<Integer, Failure>>mapToObj(i -> new ConcurrentHashMap<>())
              .toList();
    }

    List<Failed> of(int part, List<Given> images) {
      Map<Integer, Failure> failed = failures.get(part);
      return failed.values().stream()
          .map(Failure::code)
          .distinct()
          .sorted()
          .map(
              code -> {
                List<Map.Entry<Integer, Failure>> alike =
                    failed.entrySet().stream()
                        .filter(each -> each.getValue().code().equals(code))
                        .sorted(Map.Entry.comparingByKey())
                        .toList();
                return new Failed(
                    code,
                    alike.size(),
                    images.get(alike.getFirst().getKey()).file().getFileName().toString(),
                    alike.getFirst().getValue().message());
              })
          .toList();
    }

    @Override
    public void asked(int part, int index) {}

    @Override
    public void answered(int part, int index, Answer answer, String digest) {}

    @Override
    public Optional<Double> known(int part, String digest) {
      return Optional.empty();
    }

    @Override
    public void failed(int part, int index, Failure failure) {
      failures.get(part).put(index, failure);
    }
  }
}
