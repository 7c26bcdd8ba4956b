package dev.vard.reward.kind;

import com.google.protobuf.UnsafeByteOperations;
import dev.vard.proto.v1.DescribeRewardResponse;
import dev.vard.proto.v1.RewardFailure;
import dev.vard.proto.v1.ScoreRequest;
import dev.vard.proto.v1.ScoreResponse;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.AskingSpec.Range;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** {@code vard.v1.RewardService}'s messages, from and to this program's own. */
final class RewardMessages {
  private RewardMessages() {}

  /**
   * @param reward which of the service's; empty for its only one
   * @param queries one or more, of one run and iteration
   */
  static ScoreRequest request(String reward, List<RewardQuery> queries) {
    ScoreRequest.Builder request =
        ScoreRequest.newBuilder()
            .setReward(reward)
            .setRunId(queries.getFirst().runId())
            .setIteration(queries.getFirst().iteration());
    for (RewardQuery query : queries) {
      request
          .addQueriesBuilder()
          .setRgb(UnsafeByteOperations.unsafeWrap(query.image().toBytes()))
          .setHeight(query.image().height())
          .setWidth(query.image().width())
          .setPrompt(query.prompt())
          .setSeed(query.seed());
    }
    return request.build();
  }

  /**
   * As many as the response has.
   *
   * @param whose names who answered in failures
   */
  static List<RewardOutcome> outcomes(String whose, ScoreResponse response) {
    return response.getOutcomesList().stream().map(outcome -> outcome(whose, outcome)).toList();
  }

  private static RewardOutcome outcome(String whose, dev.vard.proto.v1.RewardOutcome outcome) {
    return switch (outcome.getOutcomeCase()) {
      case SCORE -> new RewardOutcome.Score(outcome.getScore());
      case FAILURE -> failure(whose, outcome.getFailure());
      case OUTCOME_NOT_SET ->
          new Failure(
              "MALFORMED",
              whose + " gave neither a score nor a failure; mend its answer there",
              true);
    };
  }

  private static Failure failure(String whose, RewardFailure failure) {
    return new Failure(
        failure.getCode().isBlank() ? "UNNAMED" : Quoted.of(failure.getCode()),
        whose + " says: " + Quoted.of(failure.getMessage()),
        failure.getRetryable(),
        failure.hasRetryAfter()
            ? Optional.of(duration(failure.getRetryAfter()))
            : Optional.empty());
  }

  /** Seconds and nanoseconds may be anything, whatever protobuf asks of them. */
  static Duration duration(com.google.protobuf.Duration duration) {
    try {
      return Duration.ofSeconds(duration.getSeconds(), duration.getNanos());
    } catch (ArithmeticException e) {
      return duration.getSeconds() > 0 ? Failure.LONGEST_RETRY_AFTER : Duration.ZERO;
    }
  }

  /** Empty if neither end is told. */
  static Optional<Range> range(DescribeRewardResponse described) {
    double least = described.hasLeast() ? described.getLeast() : Double.NEGATIVE_INFINITY;
    double most = described.hasMost() ? described.getMost() : Double.POSITIVE_INFINITY;
    return described.hasLeast() || described.hasMost()
        ? Optional.of(new Range(least, most))
        : Optional.empty();
  }
}
