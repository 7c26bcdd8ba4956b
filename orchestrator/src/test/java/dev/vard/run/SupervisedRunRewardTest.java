package dev.vard.run;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardQuery;
import dev.vard.reward.Rewards;
import java.io.IOException;
import java.net.ConnectException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

/** Rewards that fail: a run pauses, and asks nothing twice when it is resumed. */
class SupervisedRunRewardTest extends SupervisedRunBehaviour {
  @Test
  void shouldPauseWhenARewardFailsAndAskNothingTwiceWhenItIsMended() {
    AtomicInteger asked = new AtomicInteger();
    Reward fickle =
        Reward.of(
            "fickle",
            (image, prompt) -> {
              if (asked.incrementAndGet() == 8) {
                throw new IllegalStateException("no credit");
              }
              return image.at(0, 0, 0);
            });
    RunEnd paused = supervised(fickle).run();
    assertThat(paused.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(paused.code()).isEqualTo("REWARD_FAILED");
    assertThat(paused.retryAt()).isEmpty();

    RunEnd end = supervised(fickle).run();

    assertThat(end.status()).isEqualTo(RunStatus.DONE);
    assertThat(asked)
        .as("each query once, and once more the one that failed")
        .hasValue(12 + 15 + 1);
  }

  @Test
  void shouldTryAgainByItselfWhenTimeMayMendTheReward() throws Exception {
    Reward away =
        new Reward() {
          @Override
          public String name() {
            return "away";
          }

          @Override
          public List<RewardOutcome> score(List<RewardQuery> queries) throws IOException {
            throw new ConnectException("refused");
          }
        };

    RunEnd paused = supervised(away).run();

    assertThat(paused.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(paused.code()).isEqualTo("REWARD_FAILED");
    assertThat(paused.reason()).contains("reward away: threw java.net.ConnectException: refused");
    assertThat(paused.retryAt()).isPresent();
  }

  @Test
  void shouldGoOnWithImagesThatWaitedForTheirScoresWhenItWasCancelled() throws Exception {
    AtomicInteger asked = new AtomicInteger();
    CountDownLatch stuck = new CountDownLatch(1);
    Reward slow =
        Reward.of(
            "slow",
            (image, prompt) -> {
              if (asked.incrementAndGet() == 12) { // the third of iteration 2
                stuck.countDown();
                try {
                  new CountDownLatch(1).await();
                } catch (InterruptedException e) {
                  throw new IllegalStateException(e);
                }
              }
              return image.at(0, 0, 0);
            });
    RunListener cancel =
        event -> {
          if (event.equals(new RunEvent.PhaseStarted(2, RunEvent.Phase.SCORE))) {
            try {
              stuck.await();
            } catch (InterruptedException e) {
              throw new IllegalStateException(e);
            }
            Thread.currentThread().interrupt();
          }
        };
    assertThat(supervised(() -> Rewards.of(slow), cancel).run().status())
        .isEqualTo(RunStatus.CANCELLED);
    Path pending = folder().resolve("pending/0002");
    assertThat(pending).isNotEmptyDirectory();

    RunEnd end = supervised(slow).run();

    assertThat(end.status()).as(end.reason()).isEqualTo(RunStatus.DONE);
    assertThat(pending).doesNotExist();
    assertThat(asked)
        .as("each query once, and once more the one that was not answered")
        .hasValue(12 + 15 + 1);
  }

  @Test
  void shouldPauseWhenTheRewardCannotBeOpened() throws Exception {
    Supplier<Rewards> missing =
        () -> {
          throw new RewardException("clicks", "NOT_FOUND", "there is no such class", false, null);
        };

    RunEnd paused = supervised(missing).run();

    assertThat(paused.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(paused.reason())
        .isEqualTo(
            "while the reward was opened: reward clicks: there is no such class (NOT_FOUND)");
    assertThat(paused.retryAt()).isEmpty();
  }
}
