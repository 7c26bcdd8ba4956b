package dev.vard.reward.kind;

import static dev.vard.reward.kind.Asked.PATIENCE;
import static dev.vard.reward.kind.Asked.queries;
import static dev.vard.reward.kind.Asked.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.proto.v1.DescribeRewardResponse;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardOutcome.Score;
import dev.vard.spec.AskingSpec.Range;
import dev.vard.spec.RewardSource.Access;
import java.net.ServerSocket;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What is asked before the first query. */
class GrpcRewardOpeningTest extends GrpcRewardBehaviour {
  @Test
  void shouldTakeRangeAndBatchFromTheServer() {
    server.description =
        DescribeRewardResponse.newBuilder().setLeast(-1).setMost(2).setBatch(16).build();
    try (Reward reward = open()) {
      assertThat(reward.range()).contains(new Range(-1, 2));
      assertThat(reward.batch()).isEqualTo(16);
    }
  }

  @Test
  void shouldLeaveOpenWhatTheServerDoesNotSay() {
    server.description = DescribeRewardResponse.newBuilder().setLeast(0).build();
    try (Reward reward = open()) {
      assertThat(reward.range()).contains(new Range(0, Double.POSITIVE_INFINITY));
      assertThat(reward.batch()).isEqualTo(Integer.MAX_VALUE);
    }
  }

  @Test
  void shouldRefuseARangeThatHoldsNothing() {
    server.description = DescribeRewardResponse.newBuilder().setLeast(1).setMost(1).build();

    RewardException refusal = refusal(this::open);

    assertThat(refusal.code()).isEqualTo("MALFORMED");
    assertThat(refusal.retryable()).isFalse();
  }

  @Test
  void shouldTellThatNobodyIsThere() throws Exception {
    String nowhere;
    try (ServerSocket free = new ServerSocket(0)) {
      nowhere = "127.0.0.1:" + free.getLocalPort();
    }

    RewardException refusal =
        refusal(() -> open(List.of(nowhere), Access.OPEN, PATIENCE, Map.of()));

    assertThat(refusal.code()).isEqualTo("UNAVAILABLE");
    assertThat(refusal.retryable()).isTrue();
    assertThat(refusal).hasMessageContaining(nowhere).hasMessageContaining("check that it runs");
  }

  @Test
  void shouldDoWithoutHealth() throws Exception {
    server.tellsHealth = false;
    try (Reward reward = open()) {
      assertThat(reward.score(queries(1))).hasOnlyElementsOfType(Score.class);
    }
  }

  @Test
  void shouldRefuseAPortThatThereIsNot() {
    RewardException refusal =
        refusal(() -> open(List.of("127.0.0.1:70000"), Access.OPEN, PATIENCE, Map.of()));

    assertThat(refusal.code()).isEqualTo("BAD_ENDPOINT");
    assertThat(refusal).hasMessageContaining("70000");
  }

  @Test
  void shouldTellThatAServerIsNotServing() {
    server.serving(false);

    RewardException refusal = refusal(this::open);

    assertThat(refusal.code()).isEqualTo("UNAVAILABLE");
    assertThat(refusal.retryable()).isTrue();
  }
}
