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
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The process of a reward: how it dies, comes back and ends, with all that it started. */
class PythonRewardProcessTest extends PythonRewardBehaviour {
  @Test
  void shouldFailWhenItsProcessDiesAndStartItAnewAtTheNextCall() throws Exception {
    open("mine:gated");
    try (ExecutorService thread = Executors.newVirtualThreadPerTaskExecutor()) {
      Future<List<RewardOutcome>> call = thread.submit(() -> reward.score(queries("a")));
      awaitFile("computing");
      long before = reward.pid();
      kill();

      assertThat(call.get())
          .allSatisfy(
              outcome -> {
                Failure failure = (Failure) outcome;
                assertThat(failure.code()).isEqualTo("UNAVAILABLE");
                assertThat(failure.retryable()).isTrue();
                assertThat(failure.message())
                    .contains("the reward process died (killed by signal 9)")
                    .contains("serving mine:gated");
              });
      Files.createFile(folder.resolve("gate"));
      assertThat(server(score(reward))).isEqualTo(reward.pid()).isNotEqualTo(before);
    }
  }

  @Test
  void shouldBeStartedAnewOnceForAllThatWait() throws Exception {
    open("mine:process");
    kill();
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Double>> calls =
          Stream.generate(() -> threads.submit(() -> score(reward))).limit(6).toList();
      for (Future<Double> call : calls) {
        assertThat(server(call.get())).isEqualTo(reward.pid());
      }
    }
    assertThat(Files.readString(folder.resolve("log")).split("serving mine:process", -1))
        .hasSize(3);
  }

  @Test
  void shouldFailButNotForGoodIfItCannotBeStartedAnew() throws Exception {
    open("mine:Once");
    kill();

    assertThat(reward.score(queries("a", "b")))
        .hasSize(2)
        .allSatisfy(
            outcome -> {
              Failure failure = (Failure) outcome;
              assertThat(failure.code()).isEqualTo("UNAVAILABLE");
              assertThat(failure.retryable()).isTrue();
              assertThat(failure.message())
                  .contains("the reward process ended before it served (exit code 1)")
                  .contains("FileExistsError");
            });
    Files.delete(folder.resolve("loaded"));
    assertThat(server(score(reward))).isEqualTo(reward.pid());
  }

  @ParameterizedTest
  @ValueSource(strings = {"fork", "spawn"})
  void shouldLetAFunctionStartProcesses(String method) throws Exception {
    open("mine:pool", Map.of("method", method), Duration.ofMinutes(1));

    for (int round = 0; round < 20; round++) {
      assertThat(reward.score(queries("", "abc", "b")))
          .containsExactly(new Score(0), new Score(3), new Score(1));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void shouldLeaveNoProcessBehind(boolean closed) throws Exception {
    open("mine:kept");
    ProcessHandle scores = ProcessHandle.of((long) score(reward)).orElseThrow();
    List<ProcessHandle> all =
        Stream.concat(
                Stream.of(process(), scores, scores.parent().orElseThrow()), scores.children())
            .toList();
    assertThat(all).hasSizeGreaterThanOrEqualTo(4).allMatch(ProcessHandle::isAlive);

    if (closed) {
      reward.close();
    } else {
      kill();
    }

    for (ProcessHandle process : all) {
      process.onExit().get(1, TimeUnit.MINUTES);
    }
  }

  @Test
  void shouldSayHowItsFunctionsProcessDied() throws Exception {
    open("mine:exits");

    assertThat(reward.score(queries("a")))
        .singleElement()
        .isInstanceOfSatisfying(
            Failure.class,
            failure -> {
              assertThat(failure.code()).isEqualTo("CRASHED");
              assertThat(failure.message())
                  .isEqualTo("mine:exits says: its process died (exit code 7)");
            });
  }

  @Test
  void shouldEndItsProcessWhenClosed() throws Exception {
    open("mine:red");
    ProcessHandle process = process();

    reward.close();

    process.onExit().get(1, TimeUnit.MINUTES);
    assertThatThrownBy(() -> reward.score(queries("a"))).isInstanceOf(InterruptedException.class);
  }
}
