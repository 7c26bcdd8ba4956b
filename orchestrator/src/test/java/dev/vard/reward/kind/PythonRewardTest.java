package dev.vard.reward.kind;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.reward.Image;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.reward.RewardOutcome.Score;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.AskingSpec;
import dev.vard.spec.AskingSpec.Range;
import dev.vard.spec.RewardSource;
import dev.vard.worker.WorkerEnvironment;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(120)
class PythonRewardTest {
  private static final String MODULE =
      """
      import multiprocessing, os, pathlib, time

      here = pathlib.Path(__file__).parent

      def red(images, prompts):
          return [image.getpixel((0, 0))[0] + len(prompt) for image, prompt in zip(images, prompts)]

      def process(images, prompts):
          return [os.getpid()] * len(images)

      def pool(images, prompts, method):
          with multiprocessing.get_context(method).Pool(2) as pool:
              return pool.map(len, prompts)

      def kept(images, prompts):
          multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)).start()
          return process(images, prompts)

      def exits(images, prompts):
          os._exit(7)

      def dark(images, prompts):
          raise ValueError(f"{prompts[0]} is too dark")

      def gated(images, prompts):
          (here / "computing").touch()
          while not (here / "gate").exists():
              time.sleep(0.01)
          return process(images, prompts)

      class Scaled:
          range = (0, 1000)
          batch = 5

          def __init__(self, by, device):
              assert device == "cpu"
              self.by = by

          def __call__(self, images, prompts):
              return [self.by * score for score in red(images, prompts)]

      class Once:
          def __init__(self):
              (here / "loaded").touch(exist_ok=False)

          def __call__(self, images, prompts):
              return process(images, prompts)
      """;

  @TempDir private Path folder;
  private WorkerEnvironment environment;
  private PythonReward reward;

  @BeforeEach
  void bringAModule() throws IOException {
    Files.writeString(folder.resolve("mine.py"), MODULE);
    WorkerEnvironment found = WorkerEnvironment.find();
    // The environment variable, as a user sets it; a JVM cannot change its own.
    Path python =
        Files.createFile(
            folder.resolve("python"),
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    Files.writeString(
        python,
        "#!/bin/sh\nPYTHONPATH=\"$PYTHONPATH:%s\" exec %s \"$@\"\n"
            .formatted(folder, found.python()));
    environment = new WorkerEnvironment(found.home(), python);
  }

  @AfterEach
  void end() {
    if (reward != null) {
      reward.close();
    }
  }

  private PythonReward open(String function, Map<String, Object> options, Duration timeout) {
    AskingSpec asking =
        new AskingSpec(Optional.empty(), Optional.empty(), timeout, 0, Optional.empty());
    reward =
        PythonReward.open(
            "mine",
            new RewardSource.Python(function, options, "cpu"),
            asking,
            new RewardEnvironment(
                folder, () -> environment, folder.resolve("log"), name -> Optional.empty()));
    return reward;
  }

  private PythonReward open(String function) {
    return open(function, Map.of(), Duration.ofMinutes(1));
  }

  private static List<RewardQuery> queries(String... prompts) {
    return IntStream.range(0, prompts.length)
        .mapToObj(
            i ->
                new RewardQuery(
                    Image.of(1, 2, new byte[] {(byte) (100 + 50 * i), 0, 0, 0, 0, 0}),
                    prompts[i],
                    i,
                    "run",
                    1))
        .toList();
  }

  private static double score(Reward reward) throws Exception {
    return ((Score) reward.score(queries("a")).getFirst()).value();
  }

  /** What scores is the child of a guard, which is the child of the server. */
  private static long server(double pid) {
    return ProcessHandle.of((long) pid)
        .flatMap(ProcessHandle::parent)
        .flatMap(ProcessHandle::parent)
        .orElseThrow()
        .pid();
  }

  private ProcessHandle process() {
    return ProcessHandle.of(reward.pid()).orElseThrow();
  }

  private void kill() throws Exception {
    ProcessHandle process = process();
    process.destroyForcibly();
    process.onExit().get(1, TimeUnit.MINUTES);
  }

  private void awaitFile(String name) throws InterruptedException {
    while (!Files.exists(folder.resolve(name))) {
      Thread.sleep(10);
    }
  }

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
  void shouldMakeAClassWithItsOptionsAndAskWhatItIs() throws Exception {
    open("mine:Scaled", Map.of("by", 2.5), Duration.ofMinutes(1));

    assertThat(score(reward)).isEqualTo(252.5);
    assertThat(reward.range()).contains(new Range(0, 1000));
    assertThat(reward.batch()).isEqualTo(5);
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
  void shouldEndItsProcessWhenClosed() throws Exception {
    open("mine:red");
    ProcessHandle process = process();

    reward.close();

    process.onExit().get(1, TimeUnit.MINUTES);
    assertThatThrownBy(() -> reward.score(queries("a"))).isInstanceOf(InterruptedException.class);
  }
}
