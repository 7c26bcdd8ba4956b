package dev.vard.reward.kind;

import dev.vard.reward.Image;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardOutcome.Score;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.AskingSpec;
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
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** One behaviour of a reward in Python, in a process of its own: what its tests begin with. */
@Timeout(120)
abstract class PythonRewardBehaviour {
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

      class Slow:
          def __init__(self):
              while not (here / "gate").exists():
                  time.sleep(0.01)

          def __call__(self, images, prompts):
              return process(images, prompts)

      class Once:
          def __init__(self):
              (here / "loaded").touch(exist_ok=False)

          def __call__(self, images, prompts):
              return process(images, prompts)
      """;

  @TempDir Path folder;
  WorkerEnvironment environment;
  PythonReward reward;

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

  final PythonReward open(String function, Map<String, Object> options, Duration timeout) {
    return open(function, options, timeout, Duration.ofMinutes(1));
  }

  private PythonReward open(
      String function, Map<String, Object> options, Duration timeout, Duration told) {
    AskingSpec asking =
        new AskingSpec(Optional.empty(), Optional.empty(), timeout, 0, Optional.empty());
    reward =
        PythonReward.open(
            "mine",
            new RewardSource.Python(function, options, "cpu"),
            asking,
            new RewardEnvironment(
                folder, () -> environment, folder.resolve("log"), name -> Optional.empty()),
            told);
    return reward;
  }

  final PythonReward open(String function) {
    return open(function, Map.of(), Duration.ofMinutes(1));
  }

  static List<RewardQuery> queries(String... prompts) {
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

  static double score(Reward reward) throws Exception {
    return ((Score) reward.score(queries("a")).getFirst()).value();
  }

  /** What scores is the child of a guard, which is the child of the server. */
  static long server(double pid) {
    return ProcessHandle.of((long) pid)
        .flatMap(ProcessHandle::parent)
        .flatMap(ProcessHandle::parent)
        .orElseThrow()
        .pid();
  }

  final ProcessHandle process() {
    return ProcessHandle.of(reward.pid()).orElseThrow();
  }

  final void kill() throws Exception {
    ProcessHandle process = process();
    process.destroyForcibly();
    process.onExit().get(1, TimeUnit.MINUTES);
  }

  final void awaitFile(String name) throws InterruptedException {
    while (!Files.exists(folder.resolve(name))) {
      Thread.sleep(10);
    }
  }

  /** One of which it is told after so long that it still loads. */
  final PythonReward openTold(String function, Duration told) {
    return open(function, Map.of(), Duration.ofMinutes(1), told);
  }
}
