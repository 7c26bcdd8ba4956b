package dev.vard.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.proto.v1.RestoreRequest;
import dev.vard.reward.Reward;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/** How a run ends where nothing fails: by itself, cancelled, drained, or claimed by another. */
class SupervisedRunTest extends SupervisedRunBehaviour {
  @Test
  void shouldEndDoneWithAResult() {
    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.DONE);
    assertThat(end.result().orElseThrow().rewardQueries()).isEqualTo(12);
    assertThat(discarded).hasValue(0);
  }

  @Test
  void shouldGiveTheSameResultWhenAskedAgainAfterTheEnd() {
    RunEnd first = run();
    int requests = worker.requests.size();

    RunEnd second = run();

    assertThat(second.result()).isEqualTo(first.result());
    assertThat(worker.requests).hasSize(requests);
  }

  @Test
  void shouldCancelAndLeaveACheckpointToGoOnFrom() throws Exception {
    worker.stickInSampling();
    SupervisedRun supervised = supervised(BRIGHTNESS);
    CompletableFuture<RunEnd> ended = new CompletableFuture<>();
    Thread thread = Thread.ofPlatform().start(() -> ended.complete(supervised.run()));
    worker.awaitStuck();

    thread.interrupt();

    assertThat(ended.get().status()).isEqualTo(RunStatus.CANCELLED);
    assertThat(checkpoints()).hasSize(1);
    assertThat(worker.isOpen()).as("the worker is free").isFalse();

    worker.stickNoMore();
    assertThat(run().status()).isEqualTo(RunStatus.DONE);
    assertThat(worker.all(RestoreRequest.class)).hasSize(1);
  }

  @Test
  void shouldWaitForSomebodyToGoOnWithItWhenDrained() throws Exception {
    worker.stickInSampling();
    SupervisedRun supervised = supervised(BRIGHTNESS);
    CompletableFuture<RunEnd> ended = new CompletableFuture<>();
    Thread.ofPlatform().start(() -> ended.complete(supervised.run()));
    worker.awaitStuck();

    supervised.drain();

    assertThat(ended.get().status()).isEqualTo(RunStatus.WAITING);
    assertThat(checkpoints()).hasSize(1);
  }

  @Test
  void shouldNotBeginWhatIsDrainedAlready() {
    SupervisedRun supervised = supervised(BRIGHTNESS);
    supervised.drain();

    assertThat(supervised.run().status()).isEqualTo(RunStatus.WAITING);
    assertThat(worker.requests).isEmpty();
  }

  @Test
  void shouldLetGoOfARunThatSomebodyElseClaimed() {
    Reward thief =
        Reward.of(
            "thief",
            (image, prompt) -> {
              store.claim(() -> {});
              return 1;
            });

    assertThatThrownBy(() -> supervised(thief).run()).isInstanceOf(FencedException.class);
    assertThat(discarded).hasValue(1);
  }
}
