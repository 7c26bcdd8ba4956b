package dev.vard.reward.kind;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.reward.RewardOutcome.Score;
import java.nio.file.Files;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** What a function scores, and how long it is waited for. */
class PythonRewardTest extends PythonRewardBehaviour {
  @Test
  void shouldScoreImagesInTheirOrderInAProcessOfItsOwn() throws Exception {
    open("mine:red");

    assertThat(reward.score(queries("", "abc", "b")))
        .containsExactly(new Score(100), new Score(153), new Score(201));
    assertThat(reward.name()).isEqualTo("mine");
    assertThat(reward.range()).isEmpty();
    assertThat(reward.batch()).isEqualTo(Integer.MAX_VALUE);
    assertThat(reward.pid()).isNotEqualTo(ProcessHandle.current().pid());
  }

  @Test
  void shouldFailWhereTheFunctionRaises() throws Exception {
    open("mine:dark");

    List<RewardOutcome> outcomes = reward.score(queries("a cat", "a dog"));

    assertThat(outcomes)
        .allSatisfy(
            outcome -> {
              Failure failure = (Failure) outcome;
              assertThat(failure.code()).isEqualTo("THREW");
              assertThat(failure.retryable()).isFalse();
            });
    assertThat(((Failure) outcomes.get(1)).message())
        .startsWith("mine:dark says: raised ValueError: a dog is too dark (")
        .contains("mine.py");
    assertThat(folder.resolve("log")).content().contains("Traceback");
  }

  @Test
  void shouldNotWaitLongerThanItIsTold() throws Exception {
    open("mine:gated", Map.of(), Duration.ofMillis(200));

    assertThat(reward.score(queries("a")))
        .singleElement()
        .isInstanceOfSatisfying(
            Failure.class,
            failure -> {
              assertThat(failure.code()).isEqualTo("TIMEOUT");
              assertThat(failure.retryable()).isTrue();
              assertThat(failure.message()).contains("0.2 s").contains("reward.timeout");
            });
  }

  @Test
  void shouldStopWaitingWhenInterrupted() throws Exception {
    open("mine:gated");
    try (ExecutorService thread = Executors.newVirtualThreadPerTaskExecutor()) {
      Future<List<RewardOutcome>> call = thread.submit(() -> reward.score(queries("a")));
      awaitFile("computing");
      thread.shutdownNow();

      assertThatThrownBy(call::get).hasCauseInstanceOf(InterruptedException.class);
    }
    Files.createFile(folder.resolve("gate"));
    assertThat(server(score(reward))).isEqualTo(reward.pid());
  }
}
