package dev.vard.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.awt.image.BufferedImage;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ImageTest {
  /** Two rows of three pixels. */
  private static final byte[] RGB = {
    1, 2, 3, 4, 5, 6, 7, 8, 9, (byte) 200, (byte) 255, 0, 10, 11, 12, 13, 14, (byte) 128
  };

  @Test
  void shouldReadRowsFromTheTop() {
    Image image = Image.of(2, 3, RGB);

    assertThat(image.at(0, 2, 1)).isEqualTo(8);
    assertThat(image.at(1, 0, 0)).isEqualTo(200);
    assertThat(image.at(1, 2, 2)).isEqualTo(128);
  }

  @Test
  void shouldNotChangeWithTheBytesItWasMadeOf() {
    byte[] rgb = RGB.clone();
    Image image = Image.of(2, 3, rgb);
    rgb[0] = 99;
    image.toBytes()[1] = 99;

    assertThat(image).isEqualTo(Image.of(2, 3, RGB)).hasSameHashCodeAs(Image.of(2, 3, RGB));
  }

  @Test
  void shouldWriteAPngPixelForPixel(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("image.png");

    Image.of(2, 3, RGB).writePng(file);

    BufferedImage read = ImageIO.read(file.toFile());
    assertThat(read.getWidth()).isEqualTo(3);
    assertThat(read.getHeight()).isEqualTo(2);
    assertThat(read.getRGB(0, 1) & 0xffffff).isEqualTo(200 << 16 | 255 << 8);
    assertThat(read.getRGB(2, 0) & 0xffffff).isEqualTo(7 << 16 | 8 << 8 | 9);
  }

  @Test
  void shouldRefuseBytesOfAnotherSize() {
    assertThatThrownBy(() -> Image.of(3, 3, RGB)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void shouldRefuseAPixelOutside() {
    assertThatThrownBy(() -> Image.of(2, 3, RGB).at(0, 3, 0))
        .isInstanceOf(IndexOutOfBoundsException.class);
  }
}
