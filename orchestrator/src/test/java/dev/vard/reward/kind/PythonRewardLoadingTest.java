package dev.vard.reward.kind;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import dev.vard.reward.RewardException;
import dev.vard.spec.AskingSpec.Range;
import dev.vard.worker.WorkerEnvironment;
import java.nio.file.Files;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

/** How a function or class is loaded, what is said where it is not, and while it loads. */
class PythonRewardLoadingTest extends PythonRewardBehaviour {
  @Test
  void shouldMakeAClassWithItsOptionsAndAskWhatItIs() throws Exception {
    open("mine:Scaled", Map.of("by", 2.5), Duration.ofMinutes(1));

    assertThat(score(reward)).isEqualTo(252.5);
    assertThat(reward.range()).contains(new Range(0, 1000));
    assertThat(reward.batch()).isEqualTo(5);
  }

  @Test
  void shouldSayWhatDoesNotLoad() {
    assertThatThrownBy(() -> open("nowhere:red"))
        .isInstanceOfSatisfying(
            RewardException.class,
            e -> {
              assertThat(e.code()).isEqualTo("NOT_LOADABLE");
              assertThat(e.retryable()).isFalse();
            })
        .hasMessageStartingWith("reward mine: there is no module nowhere: modules are looked for")
        .hasMessageContaining(folder.resolve("log").toString());
    assertThatThrownBy(() -> open("mine:Scaled", Map.of("times", 2), Duration.ofMinutes(1)))
        .hasMessageContaining("mine:Scaled takes (by, device), and the options are {'times': 2}");
  }

  @Test
  void shouldSayThatThereIsNoPython() {
    environment = new WorkerEnvironment(environment.home(), folder.resolve("none"));

    assertThatThrownBy(() -> open("mine:red"))
        .isInstanceOf(RewardException.class)
        .hasMessageContaining("could not be started")
        .hasMessageContaining("none");
  }

  @Test
  void shouldTellThatItStillLoads() throws Exception {
    Logger log = (Logger) LoggerFactory.getLogger(PythonReward.class);
    BlockingQueue<String> told = new LinkedBlockingQueue<>();
    var appender =
        new AppenderBase<ILoggingEvent>() {
          @Override
          protected void append(ILoggingEvent event) {
            told.add(event.getFormattedMessage());
          }
        };
    appender.start();
    log.addAppender(appender);
    try (ExecutorService thread = Executors.newVirtualThreadPerTaskExecutor()) {
      Future<PythonReward> opening =
          thread.submit(() -> openTold("mine:Slow", Duration.ofMillis(1)));

      assertThat(told.take())
          .isEqualTo(
              "Reward mine is loading, for which it has 300 s; its log: " + folder.resolve("log"));
      assertThat(opening.isDone()).isFalse();

      Files.createFile(folder.resolve("gate"));
      assertThat(opening.get().batch()).isEqualTo(Integer.MAX_VALUE);
      assertThat(told).as("told once").isEmpty();
    } finally {
      log.detachAppender(appender);
    }
  }
}
