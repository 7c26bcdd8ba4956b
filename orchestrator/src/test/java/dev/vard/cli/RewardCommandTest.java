package dev.vard.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.reward.Image;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RewardCommandTest {
  private static final String JPEG = "{kind: jpeg-compressibility}";

  /** The mean of red, which the model's metadata names. */
  private static final String RED =
      "{kind: onnx, model: %s}"
          .formatted(Path.of("src/test/resources/onnx/colours.onnx").toAbsolutePath());

  @TempDir private Path folder;
  private Path images;
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  @BeforeEach
  void makeImages() throws IOException {
    images = Files.createDirectory(folder.resolve("images"));
    byte[] noise = new byte[32 * 32 * 3];
    new Random(1).nextBytes(noise);
    Image.of(32, 32, noise).writePng(images.resolve("a-noise.png"));
    byte[] red = new byte[32 * 32 * 3];
    for (int i = 0; i < red.length; i += 3) {
      red[i] = (byte) 255;
    }
    Image.of(32, 32, red).writePng(images.resolve("b-red.PNG"));
    ImageIO.write(
        Image.of(16, 8, new byte[16 * 8 * 3]).toBufferedImage(),
        "jpeg",
        images.resolve("c-black.jpg").toFile());
    Files.writeString(images.resolve("b-red.txt"), "a red wall\n");
    Files.writeString(images.resolve("notes.md"), "no image");
  }

  private int reward(String reward, String... more) throws IOException {
    Path specification =
        Files.writeString(
            folder.resolve("test.yaml"),
            """
            name: test
            model: {checkpoint: owner/name}
            prompts: {list: [a cat]}
            reward: %s
            algorithm: {kind: vard}
            """
                .formatted(reward));
    List<String> arguments =
        new ArrayList<>(List.of("reward", specification.toString(), "--images", images.toString()));
    arguments.addAll(Arrays.asList(more));
    Console console =
        new Console(
            new PrintStream(out, true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8));
    return Main.execute(console, arguments.toArray(String[]::new));
  }

  private JsonNode json() throws IOException {
    return new ObjectMapper().readTree(out.toString(StandardCharsets.UTF_8));
  }

  private static List<String> files(JsonNode json) {
    List<String> files = new ArrayList<>();
    json.get("images").forEach(image -> files.add(image.get("file").asText()));
    return files;
  }

  @Test
  void shouldPrintTheBestImageFirstAndAHistogram() throws IOException {
    assertThat(reward(RED)).as(err.toString()).isEqualTo(ExitCode.OK);

    assertThat(out.toString())
        .containsSubsequence("score", "file", "prompt")
        .containsSubsequence("1.0000", "b-red.PNG", "a red wall", "a-noise.png", "c-black.jpg")
        .containsSubsequence("from", "####", "mean", "deviation", "least", "most")
        .contains("onnx: 3 calls, 0 retries")
        .contains("3 images in ");
    assertThat(err.toString()).isEmpty();
  }

  @Test
  void shouldPrintOneLineOfJson() throws IOException {
    assertThat(reward(RED, "--json")).isEqualTo(ExitCode.OK);

    assertThat(out.toString().lines()).hasSize(1);
    assertThat(files(json())).containsExactly("b-red.PNG", "a-noise.png", "c-black.jpg");
    JsonNode part = json().get("parts").get(0);
    assertThat(part.get("name").asText()).isEqualTo("onnx");
    assertThat(part.get("scores").get("count").asInt()).isEqualTo(3);
    assertThat(part.get("scores").get("most").asDouble()).isEqualTo(1);
    assertThat(part.get("latency").get("p50").asDouble()).isPositive();
    assertThat(json().get("scores").isNull()).isTrue();
  }

  @Test
  void shouldWarnThatScoresOfImagesThatDifferAreEqual() throws IOException {
    // Of images without red.
    Files.delete(images.resolve("a-noise.png"));
    Files.delete(images.resolve("b-red.PNG"));
    byte[] blue = new byte[32 * 32 * 3];
    for (int i = 2; i < blue.length; i += 3) {
      blue[i] = (byte) 255;
    }
    Image.of(32, 32, blue).writePng(images.resolve("blue.png"));

    assertThat(reward(RED)).isEqualTo(ExitCode.OK);
    assertThat(out.toString()).contains("warning: these images differ, but all scores are equal");

    out.reset();
    assertThat(reward(RED, "--json")).isEqualTo(ExitCode.OK);
    assertThat(json().get("constant").asBoolean()).isTrue();
  }

  @Test
  void shouldNotWarnWhereAllImagesAreTheSame() throws IOException {
    Files.delete(images.resolve("a-noise.png"));
    Files.delete(images.resolve("c-black.jpg"));
    Files.copy(images.resolve("b-red.PNG"), images.resolve("copy.png"));

    assertThat(reward(RED, "--json")).isEqualTo(ExitCode.OK);

    assertThat(json().get("constant").asBoolean()).isFalse();
  }

  @Test
  void shouldShowEachPartOfASumNormalisedByTheseImages() throws IOException {
    String sum =
        "{kind: sum, parts: [%s, {kind: jpeg-compressibility, weight: -2}]}".formatted(RED);

    assertThat(reward(sum, "--json")).as(err.toString()).isEqualTo(ExitCode.OK);

    JsonNode json = json();
    assertThat(json.get("scores").get("mean").asDouble()).isEqualTo(0, within(1e-12));
    assertThat(json.get("images").get(0).get("parts")).hasSize(2);
    double sumOfSquares = 0;
    for (JsonNode image : json.get("images")) {
      double expected = 0;
      for (int i = 0; i < 2; i++) {
        JsonNode scores = json.get("parts").get(i).get("scores");
        expected +=
            json.get("parts").get(i).get("weight").asDouble()
                * (image.get("parts").get(i).asDouble() - scores.get("mean").asDouble())
                / scores.get("deviation").asDouble();
      }
      assertThat(image.get("score").asDouble()).isEqualTo(expected, within(1e-9));
      sumOfSquares += expected * expected;
    }
    assertThat(json.get("scores").get("deviation").asDouble())
        .isEqualTo(Math.sqrt(sumOfSquares / 3), within(1e-9));
  }

  @Test
  void shouldNameAnImageThatCannotBeReadAndScoreTheOthers() throws IOException {
    Files.writeString(images.resolve("d-broken.png"), "no picture");

    assertThat(reward(JPEG)).isEqualTo(ExitCode.FAILED);

    assertThat(out.toString())
        .containsSubsequence("c-black.jpg", "failed", "d-broken.png")
        .containsSubsequence(
            "failed for 1 of 4: UNREADABLE", "d-broken.png cannot be read as a picture");
  }

  @Test
  void shouldCountFailuresOfTheReward() throws IOException {
    // Scores from 0.4 to 0.6 only: noise is in the middle.
    String narrow = RED.replace("}", ", range: [0.4, 0.6]}");

    assertThat(reward(narrow, "--json")).as(err.toString()).isEqualTo(ExitCode.FAILED);

    JsonNode failure = json().get("parts").get(0).get("failures").get(0);
    assertThat(failure.get("code").asText()).isEqualTo("OUT_OF_RANGE");
    assertThat(failure.get("count").asInt()).isEqualTo(2);
    assertThat(failure.get("message").asText()).contains("which is not from 0.4 to 0.6");
    assertThat(json().get("images").get(0).get("file").asText()).isEqualTo("a-noise.png");
    assertThat(json().get("images").get(1).get("score").isNull()).isTrue();
  }

  @Test
  void shouldTakePromptsOfAFile() throws IOException {
    Path prompts = Files.writeString(folder.resolve("prompts.txt"), "noise\nred\nblack\n");

    assertThat(reward(JPEG, "--prompts", prompts.toString(), "--json")).isEqualTo(ExitCode.OK);

    json()
        .get("images")
        .forEach(
            image -> assertThat(image.get("file").asText()).contains(image.get("prompt").asText()));
  }

  @Test
  void shouldRefusePromptsThatAreNotAsMany() throws IOException {
    Path prompts = Files.writeString(folder.resolve("prompts.txt"), "noise\n");

    assertThat(reward(JPEG, "--prompts", prompts.toString())).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(err.toString()).contains("1 lines for 3 images");
  }

  @Test
  void shouldSetKeysOfTheSpecification() throws IOException {
    assertThat(reward(JPEG, "--json", "--set", "reward.quality=5")).isEqualTo(ExitCode.OK);
    double coarse = json().get("parts").get(0).get("scores").get("mean").asDouble();
    out.reset();
    assertThat(reward(JPEG, "--json")).isEqualTo(ExitCode.OK);

    assertThat(json().get("parts").get(0).get("scores").get("mean").asDouble()).isLessThan(coarse);
  }

  @Test
  void shouldSayWhyARewardCannotBeOpened() throws IOException {
    assertThat(reward(RED.replace("colours", "winner"))).isEqualTo(ExitCode.FAILED);

    assertThat(err.toString()).contains("vard: reward onnx: the model's output 'winner' is no");
  }

  @Test
  void shouldRefuseARewardThatAProgramBrings() throws IOException {
    assertThat(reward("{kind: supplied}")).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(err.toString()).contains("needs a Java program");
  }

  @Test
  void shouldRefuseAFolderWithoutImages() throws IOException {
    images = Files.createDirectory(folder.resolve("empty"));

    assertThat(reward(JPEG)).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(err.toString()).contains("has no PNG and no JPEG");
  }
}
