package dev.vard.reward.kind;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.offset;

import dev.vard.reward.Image;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.RewardSpec;
import dev.vard.spec.SpecReader;
import dev.vard.worker.WorkerEnvironment;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.spi.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The examples of rewards of one's own, as programs of their own, asked as their files say. */
@Timeout(120)
class RewardExamplesTest {
  private static final WorkerEnvironment PYTHON = WorkerEnvironment.find();

  @TempDir private Path folder;

  /** Half of it red, half of it a colour between. */
  private static final Image COLOURFUL =
      Image.of(1, 2, new byte[] {(byte) 255, 0, 0, 10, (byte) 200, 90});

  private static final Image GREY = Image.of(1, 2, new byte[] {9, 9, 9, 99, 99, 99});

  /** By hand: rg is 255 and -190, yb is 127.5 and 15. */
  private static final double COLOURFULNESS =
      Math.hypot(222.5, 56.25) + 0.3 * Math.hypot(32.5, 71.25);

  private RewardSpec.Part part(String example, String... overrides) {
    return new SpecReader()
        .read(PYTHON.home().resolve("examples").resolve(example), absolute(overrides))
        .reward()
        .parts()
        .getFirst();
  }

  /** The files name others as seen from the project's folder. */
  private static List<String> absolute(String... overrides) {
    List<String> all = new ArrayList<>(List.of(overrides));
    all.add("prompts={list: [a cat]}");
    all.add("model.checkpoint=" + PYTHON.home().resolve("checkpoints/emoji-sd"));
    return all;
  }

  private List<RewardOutcome> outcomes(Path plugins, RewardSpec.Part part) throws Exception {
    RewardKinds kinds = new RewardKinds(Asked.environment(plugins, Map.of()));
    try (Reward reward = kinds.open(part)) {
      return reward.score(
          List.of(
              new RewardQuery(COLOURFUL, "a cat", 1, "run", 1),
              new RewardQuery(GREY, "a cat", 2, "run", 1)));
    }
  }

  private static void assertScores(List<RewardOutcome> outcomes, double... expected) {
    assertThat(outcomes).hasSize(expected.length);
    for (int i = 0; i < expected.length; i++) {
      assertThat(((RewardOutcome.Score) outcomes.get(i)).value())
          .isEqualTo(expected[i], offset(1e-9));
    }
  }

  /**
   * A program that says where it listens.
   *
   * @return that, in what it said
   */
  private String listening(Process server) throws IOException {
    BufferedReader out =
        new BufferedReader(new InputStreamReader(server.getInputStream(), StandardCharsets.UTF_8));
    String prefix = "listening on ";
    for (String line = out.readLine(); line != null; line = out.readLine()) {
      if (line.startsWith(prefix)) {
        return line.substring(prefix.length());
      }
    }
    throw new AssertionError("it ended: " + Files.readString(folder.resolve("err")));
  }

  private Process start(ProcessBuilder server) throws IOException {
    return server.redirectError(folder.resolve("err").toFile()).start();
  }

  @Test
  void shouldAskTheServerInJava() throws Exception {
    Process server =
        start(
            new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                PYTHON.home().resolve("examples/reward-servers/java/ScoreServer.java").toString(),
                "0"));
    try {
      RewardSpec.Part part =
          part("emoji-grpc.yaml", "reward.endpoints=['" + listening(server) + "']");
      assertScores(outcomes(folder, part), COLOURFULNESS, 0);
      try (Reward reward = new RewardKinds(Asked.environment(folder, Map.of())).open(part)) {
        assertThat(reward.range().orElseThrow().least()).isZero();
        assertThat(reward.batch()).isEqualTo(16);
      }
      assertThatThrownBy(
              () -> outcomes(folder, part("emoji-grpc.yaml", endpoint(part), "reward.served=b")))
          .isInstanceOf(RewardException.class)
          .hasMessageContaining("there is only colourfulness");
    } finally {
      server.destroy();
    }
    assertThat(server.waitFor()).as("it ended by the signal").isEqualTo(128 + 15);
  }

  private static String endpoint(RewardSpec.Part part) {
    return "reward.endpoints="
        + ((dev.vard.spec.RewardSource.Grpc) part.source())
            .endpoints().stream().map(endpoint -> "'" + endpoint + "'").toList();
  }

  @Test
  void shouldAskTheServerOverHttp() throws Exception {
    Process server =
        start(
            PYTHON.process(
                PYTHON.home().resolve("examples/reward-servers/http/score_server.py").toString(),
                "0"));
    try {
      RewardSpec.Part part = part("emoji-http.yaml", "reward.url=" + listening(server));
      assertScores(outcomes(folder, part), COLOURFULNESS, 0);
    } finally {
      server.destroy();
      server.waitFor();
    }
  }

  @Test
  void shouldTakeTheRewardInAJar() throws Exception {
    Path classes = folder.resolve("near-colour");
    Path plugins = Files.createDirectory(folder.resolve("plugins"));
    run(
        "javac",
        "-proc:none",
        "-cp",
        System.getProperty("java.class.path"),
        "-d",
        classes.toString(),
        PYTHON.home().resolve("examples/reward-plugin/java/example/NearColour.java").toString());
    Path jar = plugins.resolve("near-colour.jar");
    run("jar", "--create", "--file", jar.toString(), "-C", classes.toString(), ".");
    String reward = "reward={kind: java, class: example.NearColour, options: {colour: '#ff0000'}}";

    List<RewardOutcome> outcomes = outcomes(plugins, part("emoji-compressibility.yaml", reward));

    // Means are (132.5, 100, 45) and (54, 54, 54).
    assertScores(
        outcomes,
        -Math.sqrt((122.5 * 122.5 + 100 * 100 + 45 * 45) / 3) / 255,
        -Math.sqrt((201 * 201 + 54 * 54 + 54 * 54) / 3.0) / 255);
    assertThatThrownBy(
            () ->
                outcomes(
                    plugins, part("emoji-compressibility.yaml", reward.replace("#ff0000", "red"))))
        .isInstanceOf(RewardException.class)
        .hasMessageContaining("give a colour");
  }

  private static void run(String tool, String... arguments) {
    Optional<ToolProvider> found = ToolProvider.findFirst(tool);
    assertThat(found.orElseThrow().run(System.out, System.err, arguments)).isZero();
  }
}
