package dev.vard.spec;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.spec.RewardSource.Onnx.Layout;
import dev.vard.spec.RewardSource.Onnx.Take;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class OnnxSpecTest {
  @TempDir private Path folder;
  private SpecFixture specs;

  @BeforeEach
  void makeFolder() throws IOException {
    specs = new SpecFixture(folder);
    Files.writeString(folder.resolve("model.onnx"), "");
  }

  private RewardSource.Onnx read(String reward) {
    RunSpec spec = specs.read(SpecFixture.SPEC, "reward=" + reward);
    return (RewardSource.Onnx) spec.reward().parts().getFirst().source();
  }

  @Test
  void shouldTakeTheFirstNumberOfPlainImagesUnlessToldOtherwise() {
    RewardSource.Onnx onnx = read("{kind: onnx, model: model.onnx}");

    assertThat(onnx.input())
        .isEqualTo(
            new RewardSource.Onnx.Input(
                Optional.empty(), Layout.NCHW, List.of(0.0, 0.0, 0.0), List.of(1.0, 1.0, 1.0)));
    assertThat(onnx.output())
        .isEqualTo(new RewardSource.Onnx.Output(Optional.empty(), Take.INDEX, 0, Optional.empty()));
  }

  @Test
  void shouldTakeAClassByItsName() {
    assertThat(
            read("{kind: onnx, model: model.onnx, output: {take: softmax, class: food & drink}}")
                .output())
        .isEqualTo(
            new RewardSource.Onnx.Output(
                Optional.empty(), Take.SOFTMAX, 0, Optional.of("food & drink")));
  }

  @Test
  void shouldRefuseAnIndexBesideAClass() {
    assertThat(
            specs.problems(
                SpecFixture.SPEC,
                "reward={kind: onnx, model: model.onnx, output: {index: 0, class: food}}"))
        .hasSize(1)
        .first()
        .asString()
        .contains("reward.output: has both index and class; remove one");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{kind: onnx, model: model.onnx, output: {name: logits, take: log-softmax, index: 2}}",
        "{kind: onnx, model: model.onnx, output: {class: \"a: b, c\"}}",
        "{kind: onnx, model: model.onnx, input: {size: 224, layout: nhwc, mean: [0.5, 0.4, 0.3],"
            + " deviation: [0.1, 0.2, 0.3]}, batch: 8}"
      })
  void shouldWriteWhatReadsAsTheSame(String reward) {
    RunSpec spec = specs.read(SpecFixture.SPEC, "reward=" + reward);

    assertThat(specs.read(SpecWriter.write(spec))).isEqualTo(spec);
  }
}
