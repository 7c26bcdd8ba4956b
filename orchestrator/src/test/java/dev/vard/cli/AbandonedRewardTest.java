package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.reward.Image;
import dev.vard.worker.WorkerEnvironment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A reward in Python that started processes of its own, when the program that asks it ends: the
 * whole program, as a user starts it.
 */
@Timeout(120)
class AbandonedRewardTest {
  private static final String POOL =
      """
      import multiprocessing, os, pathlib, signal, time

      def stubborn():
          signal.signal(signal.SIGTERM, signal.SIG_IGN)

      def score(images, prompts):
          with multiprocessing.get_context("fork").Pool(2, stubborn) as pool:
              pids = [os.getpid()] + [worker.pid for worker in pool._pool]
              pathlib.Path("pids.part").write_text(" ".join(map(str, pids)))
              pathlib.Path("pids.part").rename("pids")
              pool.map(time.sleep, [600, 600])
      """;

  /** A shell that starts the tests in the background has them, and what they start, ignore it. */
  private static final String HEEDING_SIGINT =
      "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
          + " os.execv(sys.argv[1], sys.argv[1:])";

  @TempDir private Path folder;

  private Process start() throws Exception {
    Path images = Files.createDirectory(folder.resolve("images"));
    Image.of(8, 8, new byte[8 * 8 * 3]).writePng(images.resolve("a.png"));
    Files.writeString(folder.resolve("pool.py"), POOL);
    Files.writeString(
        folder.resolve("test.yaml"),
        """
        name: test
        model: {checkpoint: owner/name}
        prompts: {list: [a cat]}
        reward: {kind: python, function: "pool:score"}
        algorithm: {kind: vard}
        """);
    ProcessBuilder program =
        new ProcessBuilder(
                WorkerEnvironment.find().python().toString(),
                "-c",
                HEEDING_SIGINT,
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                "dev.vard.cli.Main",
                "reward",
                "test.yaml",
                "--images",
                images.toString())
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("output").toFile());
    program.environment().put("VARD_HOME", WorkerEnvironment.find().home().toString());
    return program.start();
  }

  private List<ProcessHandle> pool(Process program) throws Exception {
    Path pids = folder.resolve("pids");
    while (!Files.exists(pids)) {
      assertThat(program.waitFor(20, TimeUnit.MILLISECONDS))
          .as(Files.readString(folder.resolve("output")))
          .isFalse();
    }
    return Stream.of(Files.readString(pids).split(" "))
        .map(pid -> ProcessHandle.of(Long.parseLong(pid)).orElseThrow())
        .toList();
  }

  @ParameterizedTest
  @ValueSource(strings = {"TERM", "INT", "KILL"})
  void shouldLeaveNoProcessBehind(String signal) throws Exception {
    Process program = start();
    List<ProcessHandle> pool = pool(program);
    assertThat(pool).hasSize(3).allMatch(ProcessHandle::isAlive);

    new ProcessBuilder("sh", "-c", "kill -%s %d".formatted(signal, program.pid()))
        .start()
        .waitFor();

    assertThat(program.waitFor(1, TimeUnit.MINUTES)).isTrue();
    for (ProcessHandle process : pool) {
      process.onExit().get(1, TimeUnit.MINUTES);
    }
  }
}
