package dev.vard.reward;

import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.ComponentColorModel;
import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;

/**
 * PNGs and JPEGs as RGB, as Pillow's {@code Image.open(file).convert("RGB")} gives them, which is
 * what rewards were made with: samples as they are in the file, whatever colour profile, gamma or
 * orientation it names; what is transparent has the colour that stands there. Of samples with 16
 * bits the upper 8 count, of gray ones too (Pillow makes all of those above 255 white).
 *
 * <p>Java2D's own way from a picture to RGB leads through its colour space, and changes gray ones.
 */
final class ImageFile {
  private static final byte[] PNG = {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  private static final byte[] JPEG = {(byte) 0xff, (byte) 0xd8};
  private static final int CMYK_CHANNELS = 4;
  private static final int LARGEST = 255;

  private ImageFile() {}

  static Image read(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    try {
      if (startsWith(bytes, PNG)) {
        return rgb(picture("png", bytes));
      }
      if (!startsWith(bytes, JPEG)) {
        throw new IOException("it is neither a PNG nor a JPEG; save it as one of them");
      }
      JpegHeader header = JpegHeader.of(bytes);
      return header.channels() == CMYK_CHANNELS
          ? rgb(inks(header), header.luminance())
          : rgb(picture("jpeg", header.plain()));
    } catch (IOException | RuntimeException e) {
      // ImageIO's readers throw either where a file is damaged.
      String why = Optional.ofNullable(e.getMessage()).orElse(e.getClass().getSimpleName());
      throw new IOException(file + " cannot be read as a picture: " + why, e);
    }
  }

  private static boolean startsWith(byte[] bytes, byte[] start) {
    return bytes.length >= start.length
        && Arrays.equals(bytes, 0, start.length, start, 0, start.length);
  }

  /** What is done with a reader that has the file. */
  private interface Reading<T> {
    T with(ImageReader reader) throws IOException;
  }

  private static <T> T read(String format, byte[] bytes, Reading<T> reading) throws IOException {
    ImageReader reader = ImageIO.getImageReadersByFormatName(format).next();
    try (ImageInputStream stream =
        new MemoryCacheImageInputStream(new ByteArrayInputStream(bytes))) {
      reader.setInput(stream, true, true);
      return reading.with(reader);
    } finally {
      reader.dispose();
    }
  }

  private static BufferedImage picture(String format, byte[] bytes) throws IOException {
    return read(format, bytes, reader -> reader.read(0));
  }

  /** Four samples a pixel, as they are in the file: Java2D knows no such colours. */
  private static Raster inks(JpegHeader header) throws IOException {
    return read("jpeg", header.plain(), reader -> reader.readRaster(0, null));
  }

  static Image rgb(BufferedImage picture) {
    int height = picture.getHeight();
    int width = picture.getWidth();
    byte[] rgb = new byte[3 * height * width];
    ColorModel model = picture.getColorModel();
    if (!(model instanceof ComponentColorModel)) {
      // A palette, or packed: as they are.
      int[] row = new int[width];
      for (int y = 0, to = 0; y < height; y++) {
        picture.getRGB(0, y, width, 1, row, 0, width);
        for (int pixel : row) {
          rgb[to++] = (byte) (pixel >> 16);
          rgb[to++] = (byte) (pixel >> 8);
          rgb[to++] = (byte) pixel;
        }
      }
      return Image.owning(height, width, rgb);
    }
    int colours = model.getNumColorComponents();
    if (colours != 1 && colours != 3) {
      throw new IllegalArgumentException(
          "it has %d colours a pixel; save it as RGB".formatted(colours));
    }
    Raster raster = picture.getRaster();
    int bands = raster.getNumBands();
    int shift = model.getComponentSize(0) - Byte.SIZE;
    int[] row = new int[bands * width];
    for (int y = 0, to = 0; y < height; y++) {
      raster.getPixels(0, y, width, 1, row);
      for (int from = 0; from < row.length; from += bands) {
        for (int channel = 0; channel < 3; channel++) {
          rgb[to++] = (byte) (row[from + (colours == 1 ? 0 : channel)] >> shift);
        }
      }
    }
    return Image.owning(height, width, rgb);
  }

  /**
   * Of cyan, magenta, yellow and black, which JPEGs hold inverted, as Adobe's programs write them
   * and Pillow takes them.
   */
  private static Image rgb(Raster raster, boolean luminance) {
    int height = raster.getHeight();
    int width = raster.getWidth();
    byte[] rgb = new byte[3 * height * width];
    int[] row = new int[CMYK_CHANNELS * width];
    for (int y = 0, to = 0; y < height; y++) {
      raster.getPixels(raster.getMinX(), raster.getMinY() + y, width, 1, row);
      for (int from = 0; from < row.length; from += CMYK_CHANNELS, to += 3) {
        if (luminance) {
          toInks(row, from);
        }
        int black = row[from + 3];
        for (int channel = 0; channel < 3; channel++) {
          int ink = product(LARGEST - row[from + channel], black);
          rgb[to + channel] = (byte) Math.max(0, black - ink);
        }
      }
    }
    return Image.owning(height, width, rgb);
  }

  /** Luminance and two differences of colour to cyan, magenta and yellow: ITU-T T.871, inverted. */
  private static void toInks(int[] row, int at) {
    double y = row[at];
    double blue = row[at + 1] - 128;
    double red = row[at + 2] - 128;
    row[at] = LARGEST - clamp(y + 1.402 * red);
    row[at + 1] = LARGEST - clamp(y - 0.344136286 * blue - 0.714136286 * red);
    row[at + 2] = LARGEST - clamp(y + 1.772 * blue);
  }

  private static int clamp(double value) {
    return (int) Math.round(Math.clamp(value, 0, LARGEST));
  }

  /** a · b / 255, rounded. */
  private static int product(int a, int b) {
    return (2 * a * b + LARGEST) / (2 * LARGEST);
  }
}
