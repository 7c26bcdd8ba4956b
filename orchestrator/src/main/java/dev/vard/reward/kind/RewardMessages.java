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
   * @param queries one or more, of one run
   */
  static ScoreRequest request(List<RewardQuery> queries) {
    ScoreRequest.Builder request =
        ScoreRequest.newBuilder()
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

  /** As many as the response has. */
  static List<RewardOutcome> outcomes(ScoreResponse response) {
    return response.getOutcomesList().stream().map(RewardMessages::outcome).toList();
  }

  private static RewardOutcome outcome(dev.vard.proto.v1.RewardOutcome outcome) {
    return switch (outcome.getOutcomeCase()) {
      case SCORE -> new RewardOutcome.Score(outcome.getScore());
      case FAILURE -> failure(outcome.getFailure());
      case OUTCOME_NOT_SET ->
          new Failure("MALFORMED", "the answer is neither a score nor a failure", true);
    };
  }

  private static Failure failure(RewardFailure failure) {
    Optional<Duration> wait =
        failure.hasRetryAfter()
            ? Optional.of(
                Duration.ofSeconds(
                    failure.getRetryAfter().getSeconds(), failure.getRetryAfter().getNanos()))
            : Optional.empty();
    return new Failure(failure.getCode(), failure.getMessage(), failure.getRetryable(), wait);
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
