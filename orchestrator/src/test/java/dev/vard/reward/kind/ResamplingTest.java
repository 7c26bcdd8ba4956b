package dev.vard.reward.kind;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class ResamplingTest {
  private static final int HEIGHT = 9;
  private static final int WIDTH = 7;

  /** The picture of {@code models.py}. */
  static byte[] picture() {
    byte[] rgb = new byte[HEIGHT * WIDTH * 3];
    for (int i = 0; i < rgb.length; i++) {
      rgb[i] = (byte) (37 * (i / 3 / WIDTH) + 17 * (i / 3 % WIDTH) + 101 * (i % 3));
    }
    return rgb;
  }

  @Test
  void shouldScaleAsPyTorchDoesWithAntialias() throws Exception {
    List<String> lines = Files.readAllLines(Path.of("src/test/resources/onnx/scaled.csv"));

    for (String line : lines.subList(1, lines.size())) {
      String[] cells = line.split(",");
      int[] at = Arrays.stream(cells).limit(5).mapToInt(Integer::parseInt).toArray();
      float[] scaled = new Resampling().scale(picture(), HEIGHT, WIDTH, at[0], at[1]);
      assertThat((double) scaled[(at[2] * at[1] + at[3]) * 3 + at[4]])
          .as(line)
          .isEqualTo(Double.parseDouble(cells[5]), within(1e-3));
    }
    assertThat(lines).hasSizeGreaterThan(800);
  }

  @Test
  void shouldLeaveAFlatPictureFlat() {
    byte[] flat = new byte[HEIGHT * WIDTH * 3];
    Arrays.fill(flat, (byte) 200);

    for (float value : new Resampling().scale(flat, HEIGHT, WIDTH, 224, 3)) {
      assertThat(value).isEqualTo(200, within(1e-3f));
    }
  }
}
