package dev.vard.reward.kind;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.vard.reward.Image;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.reward.RewardOutcome.Score;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.AskingSpec;
import dev.vard.spec.AskingSpec.Range;
import dev.vard.spec.RewardSource.Onnx;
import dev.vard.spec.RewardSource.Onnx.Input;
import dev.vard.spec.RewardSource.Onnx.Layout;
import dev.vard.spec.RewardSource.Onnx.Output;
import dev.vard.spec.RewardSource.Onnx.Take;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class OnnxRewardTest {
  private static final Path MODELS = Path.of("src/test/resources/onnx");
  private static final List<Double> ZERO = List.of(0.0, 0.0, 0.0);
  private static final List<Double> ONE = List.of(1.0, 1.0, 1.0);
  private static final Input PLAIN = new Input(Optional.empty(), Layout.NCHW, ZERO, ONE);
  private static final Input ROWS = new Input(Optional.empty(), Layout.NHWC, ZERO, ONE);
  private static final Image PICTURE = Image.of(9, 7, ResamplingTest.picture());

  private static Output take(Take take, int index) {
    return new Output(Optional.empty(), take, index, Optional.empty());
  }

  private static OnnxReward open(String model, Input input, Output output) {
    return open(model, input, output, Optional.empty());
  }

  private static OnnxReward open(
      String model, Input input, Output output, Optional<Integer> batch) {
    Onnx source = new Onnx(MODELS.resolve(model + ".onnx"), input, output);
    AskingSpec usual = AskingSpec.of(source);
    AskingSpec asking =
        new AskingSpec(batch, usual.concurrency(), usual.timeout(), usual.retries(), usual.range());
    return OnnxReward.open("test", source, asking, RewardEnvironment.of(Path.of("none.log")));
  }

  private static List<RewardQuery> queries(Image... images) {
    return Arrays.stream(images).map(image -> new RewardQuery(image, "", 1, "run", 1)).toList();
  }

  private static Image flat(int side, int red, int green, int blue) {
    byte[] rgb = new byte[3 * side * side];
    for (int i = 0; i < rgb.length; i += 3) {
      rgb[i] = (byte) red;
      rgb[i + 1] = (byte) green;
      rgb[i + 2] = (byte) blue;
    }
    return Image.of(side, side, rgb);
  }

  private static List<Double> scores(Reward reward, Image... images) throws Exception {
    return reward.score(queries(images)).stream()
        .map(outcome -> ((Score) outcome).value())
        .toList();
  }

  /** One of the model's numbers. */
  private static double number(String model, Input input, int index, Image image) throws Exception {
    try (OnnxReward reward = open(model, input, take(Take.INDEX, index))) {
      return scores(reward, image).getFirst();
    }
  }

  @Test
  void shouldTakeOneNumberOfTheFirstOutput() throws Exception {
    assertThat(number("colours", PLAIN, 1, flat(8, 255, 51, 0))).isEqualTo(0.2, within(1e-6));
  }

  @Test
  void shouldTakeTheNamedOutput() throws Exception {
    Output grey = new Output(Optional.of("grey"), Take.INDEX, 0, Optional.empty());

    try (OnnxReward reward = open("colours", PLAIN, grey)) {
      assertThat(scores(reward, flat(8, 255, 51, 0)).getFirst()).isEqualTo(0.4, within(1e-6));
    }
  }

  @Test
  void shouldTakeTheMeanOfAll() throws Exception {
    try (OnnxReward reward = open("colours", PLAIN, take(Take.MEAN, 0))) {
      assertThat(scores(reward, flat(8, 255, 51, 0)).getFirst()).isEqualTo(0.4, within(1e-6));
      assertThat(reward.range()).isEmpty();
    }
  }

  @Test
  void shouldTakeAClassesProbabilityOrItsLogarithm() throws Exception {
    double expected = Math.exp(0.2) / (Math.exp(1) + Math.exp(0.2) + 1);
    try (OnnxReward reward = open("colours", PLAIN, take(Take.SOFTMAX, 1))) {
      assertThat(scores(reward, flat(8, 255, 51, 0)).getFirst()).isEqualTo(expected, within(1e-6));
      assertThat(reward.range()).contains(new Range(0, 1));
    }
    try (OnnxReward reward = open("colours", PLAIN, take(Take.LOG_SOFTMAX, 1))) {
      assertThat(scores(reward, flat(8, 255, 51, 0)).getFirst())
          .isEqualTo(Math.log(expected), within(1e-6));
      assertThat(reward.range()).contains(new Range(Double.NEGATIVE_INFINITY, 0));
    }
  }

  @Test
  void shouldNormaliseEachColour() throws Exception {
    Input input =
        new Input(Optional.empty(), Layout.NCHW, List.of(0.5, 0.1, 0.2), List.of(0.5, 0.25, 2.0));
    Image image = flat(4, 255, 51, 0);

    assertThat(number("colours", input, 0, image)).isEqualTo(1, within(1e-6));
    assertThat(number("colours", input, 1, image)).isEqualTo(0.4, within(1e-6));
    assertThat(number("colours", input, 2, image)).isEqualTo(-0.1, within(1e-6));
  }

  @Test
  void shouldNormaliseScaledImagesAlike() throws Exception {
    Input input =
        new Input(Optional.of(3), Layout.NCHW, List.of(0.5, 0.1, 0.2), List.of(0.5, 0.25, 2.0));

    assertThat(number("colours", input, 1, flat(8, 255, 51, 0))).isEqualTo(0.4, within(1e-6));
  }

  @Test
  void shouldScaleToTheModelsOwnSizeAndLayChannelsOutFirst() throws Exception {
    float[] scaled = new Resampling().scale(ResamplingTest.picture(), 9, 7, 4, 5);
    for (int i = 0; i < 60; i++) {
      int channel = i / 20;
      assertThat(number("pixels", PLAIN, i, PICTURE))
          .isEqualTo(scaled[i % 20 * 3 + channel] / 255.0, within(1e-6));
    }
  }

  @Test
  void shouldLayChannelsOutLast() throws Exception {
    for (int i : new int[] {0, 1, 2, 3, 100, 188}) {
      assertThat(number("rows", ROWS, i, PICTURE))
          .isEqualTo((ResamplingTest.picture()[i] & 0xff) / 255.0, within(1e-6));
    }
  }

  @Test
  void shouldGiveBytesToAModelThatTakesBytes() throws Exception {
    for (int i : new int[] {0, 1, 2, 3, 100, 188}) {
      assertThat(number("bytes", ROWS, i, PICTURE)).isEqualTo(ResamplingTest.picture()[i] & 0xff);
    }
  }

  @Test
  void shouldScoreOneByOneUnlessToldOtherwise() {
    try (OnnxReward alone = open("colours", PLAIN, take(Take.INDEX, 0));
        OnnxReward many = open("colours", PLAIN, take(Take.INDEX, 0), Optional.of(16))) {
      assertThat(alone.batch()).isEqualTo(1);
      assertThat(many.batch()).isEqualTo(16);
    }
  }

  @Test
  void shouldFillTheBatchOfAModelThatTakesAFixedOne() throws Exception {
    try (OnnxReward reward = open("two", PLAIN, take(Take.INDEX, 0))) {
      assertThat(reward.batch()).isEqualTo(2);
      assertThat(scores(reward, flat(2, 51, 0, 0))).hasSize(1).first().isEqualTo((double) 0.2f);
      assertThat(scores(reward, flat(2, 51, 0, 0), flat(2, 255, 0, 0)))
          .containsExactly((double) 0.2f, 1.0);
    }
  }

  @Test
  void shouldScoreImagesOfSeveralSizesInOneCall() throws Exception {
    try (OnnxReward reward = open("colours", PLAIN, take(Take.INDEX, 0), Optional.of(4))) {
      assertThat(scores(reward, flat(4, 255, 0, 0), flat(6, 0, 0, 0), flat(4, 0, 0, 0)))
          .containsExactly(1.0, 0.0, 0.0);
    }
  }

  @Test
  void shouldGiveEachThreadItsOwnScores() throws Exception {
    List<Image> images = IntStream.range(0, 256).mapToObj(i -> flat(16, i, 0, 0)).toList();
    try (OnnxReward reward = open("colours", PLAIN, take(Take.INDEX, 0));
        ExecutorService threads = Executors.newFixedThreadPool(8)) {
      List<Future<List<Double>>> scores =
          images.stream().map(image -> threads.submit(() -> scores(reward, image))).toList();
      for (int i = 0; i < scores.size(); i++) {
        assertThat(scores.get(i).get().getFirst()).isEqualTo(i / 255.0, within(1e-6));
      }
    }
  }

  @Test
  void shouldFailTheQueriesThatTheModelDoesNotTake() {
    try (OnnxReward reward = open("secret", PLAIN, take(Take.INDEX, 0))) {
      RewardOutcome outcome = reward.score(queries(flat(5, 1, 2, 3))).getFirst();

      assertThat(outcome).isInstanceOf(Failure.class);
      assertThat(((Failure) outcome).code()).isEqualTo("ONNX_FAILED");
      assertThat(((Failure) outcome).message()).contains("images of 5 x 5");
      assertThat(((Failure) outcome).retryable()).isFalse();
    }
  }

  @Test
  void shouldScoreNothingAfterItsEnd() {
    OnnxReward reward = open("colours", PLAIN, take(Take.INDEX, 0));
    reward.close();

    assertThat(reward.score(queries(flat(4, 1, 2, 3))))
        .containsExactly(new Failure("CLOSED", "it was closed", false));
  }

  private static void assertRefused(String model, Input input, Output output, String... parts) {
    assertThatThrownBy(() -> open(model, input, output))
        .isInstanceOfSatisfying(
            RewardException.class,
            e -> {
              assertThat(e.code()).isEqualTo("WRONG_MODEL");
              assertThat(e.retryable()).isFalse();
            })
        .hasMessageStartingWith("reward test: ")
        .hasMessageContainingAll(parts);
  }

  @Test
  void shouldSayWhichOutputsThereAre() {
    assertRefused(
        "colours",
        PLAIN,
        new Output(Optional.of("colour"), Take.INDEX, 0, Optional.empty()),
        "no output 'colour'",
        "it has colours, grey",
        "reward.output.name");
  }

  @Test
  void shouldSayHowManyClassesThereAreAndTheirNames() {
    assertRefused(
        "colours", PLAIN, take(Take.SOFTMAX, 3), "3 numbers", "(red, green, blue)", "0 to 2");
  }

  private static Output named(String className) {
    return new Output(Optional.empty(), Take.INDEX, 0, Optional.of(className));
  }

  @Test
  void shouldTakeAClassByItsName() throws Exception {
    try (OnnxReward reward = open("colours", PLAIN, named("green"))) {
      assertThat(scores(reward, flat(8, 255, 51, 0)).getFirst()).isEqualTo(0.2, within(1e-6));
    }
  }

  @Test
  void shouldSayWhichClassesThereAre() {
    assertRefused(
        "colours", PLAIN, named("yellow"), "no class 'yellow'", "it has red, green, blue");
    assertRefused("pixels", PLAIN, named("green"), "no names of classes", "reward.output.index");
  }

  @Test
  void shouldRefuseASoftmaxOfOneNumber() {
    Input square = new Input(Optional.of(4), Layout.NCHW, ZERO, ONE);
    Output grey = new Output(Optional.of("grey"), Take.SOFTMAX, 0, Optional.empty());

    assertRefused("colours", square, grey, "softmax is of several", "take: index or mean");
  }

  @Test
  void shouldRefuseAnOutputThatIsNoFloatingPoint() {
    assertRefused("winner", PLAIN, take(Take.INDEX, 0), "'winner' is no tensor of floating-point");
  }

  @Test
  void shouldRefuseAModelOfOneChannel() {
    assertRefused("grey", PLAIN, take(Take.INDEX, 0), "1 channels as nchw", "images have 3");
  }

  @Test
  void shouldSayWhenTheChannelsAreLast() {
    assertRefused("rows", PLAIN, take(Take.INDEX, 0), "set reward.input.layout: nhwc");
  }

  @Test
  void shouldRefuseAModelOfTwoInputs() {
    assertRefused("pair", PLAIN, take(Take.INDEX, 0), "inputs are image, other", "java or python");
  }

  @Test
  void shouldRefuseASizeThatIsNotTheModels() {
    Input input = new Input(Optional.of(8), Layout.NCHW, ZERO, ONE);

    assertRefused("pixels", input, take(Take.INDEX, 0), "images of 4 x 5", "size is 8");
  }

  @Test
  void shouldRefuseToNormaliseBytes() {
    Input input = new Input(Optional.empty(), Layout.NHWC, List.of(0.5, 0.5, 0.5), ONE);

    assertRefused("bytes", input, take(Take.INDEX, 0), "takes bytes", "leave out");
  }

  @Test
  void shouldRefuseAFileThatIsNoModel(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("picture.onnx");
    Files.writeString(file, "this is no model");
    Onnx source = new Onnx(file, PLAIN, take(Take.INDEX, 0));

    assertThatThrownBy(
            () ->
                OnnxReward.open(
                    "test", source, AskingSpec.of(source), RewardEnvironment.of(folder)))
        .isInstanceOfSatisfying(
            RewardException.class, e -> assertThat(e.code()).isEqualTo("NOT_ONNX"))
        .hasMessageContaining("picture.onnx is no model that ONNX Runtime");
  }

  @Test
  void shouldSayThatTheFileIsNotThere(@TempDir Path folder) {
    Onnx source = new Onnx(folder.resolve("none.onnx"), PLAIN, take(Take.INDEX, 0));

    assertThatThrownBy(
            () ->
                OnnxReward.open(
                    "test", source, AskingSpec.of(source), RewardEnvironment.of(folder)))
        .isInstanceOfSatisfying(
            RewardException.class, e -> assertThat(e.code()).isEqualTo("NO_MODEL"))
        .hasMessageContaining("set reward.model");
  }
}
