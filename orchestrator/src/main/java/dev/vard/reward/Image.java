package dev.vard.reward;

import dev.vard.files.PrivateFiles;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Arrays;
import javax.imageio.ImageIO;
import javax.imageio.stream.MemoryCacheImageOutputStream;

/** A picture: RGB, 8 bits a channel, rows from the top. Immutable. */
public final class Image {
  private static final int CHANNELS = 3;

  private final int height;
  private final int width;
  private final byte[] rgb;

  private Image(int height, int width, byte[] rgb) {
    if (height < 1 || width < 1 || rgb.length != Math.multiplyExact(CHANNELS * height, width)) {
      throw new IllegalArgumentException(
          rgb.length + " bytes are no RGB image of " + height + " x " + width);
    }
    this.height = height;
    this.width = width;
    this.rgb = rgb;
  }

  /**
   * @param rgb height × width × 3 bytes; copied
   */
  public static Image of(int height, int width, byte[] rgb) {
    return new Image(height, width, rgb.clone());
  }

  public int height() {
    return height;
  }

  public int width() {
    return width;
  }

  /** A copy of the height × width × 3 bytes. */
  public byte[] toBytes() {
    return rgb.clone();
  }

  /** Size of the pixels in bytes. */
  public int size() {
    return rgb.length;
  }

  /**
   * @param channel 0 red, 1 green, 2 blue
   * @return 0 to 255
   */
  public int at(int row, int column, int channel) {
    if (row < 0
        || row >= height
        || column < 0
        || column >= width
        || channel < 0
        || channel >= CHANNELS) {
      throw new IndexOutOfBoundsException(
          "("
              + row
              + ", "
              + column
              + ", "
              + channel
              + ") of an image of "
              + height
              + " x "
              + width);
    }
    return rgb[(row * width + column) * CHANNELS + channel] & 0xff;
  }

  /** For ImageIO and Java2D. */
  public BufferedImage toBufferedImage() {
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    int[] row = new int[width];
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        int at = (y * width + x) * CHANNELS;
        row[x] = (rgb[at] & 0xff) << 16 | (rgb[at + 1] & 0xff) << 8 | rgb[at + 2] & 0xff;
      }
      image.setRGB(0, y, width, 1, row, 0, width);
    }
    return image;
  }

  /**
   * Reads a PNG or a JPEG: {@link ImageFile}.
   *
   * @throws IOException if it is neither, or damaged; the message names the file
   */
  public static Image read(Path file) throws IOException {
    return ImageFile.read(file);
  }

  /** Of Java2D: its samples as they are, without its conversions of colour and without alpha. */
  public static Image of(BufferedImage picture) {
    return ImageFile.rgb(picture);
  }

  /** Of bytes that nobody else has. */
  static Image owning(int height, int width, byte[] rgb) {
    return new Image(height, width, rgb);
  }

  /** This image as a PNG, pixel for pixel. Nothing touches a disk. */
  public byte[] toPng() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (MemoryCacheImageOutputStream stream = new MemoryCacheImageOutputStream(bytes)) {
      ImageIO.write(toBufferedImage(), "png", stream);
    } catch (IOException e) {
      throw new UncheckedIOException("ImageIO could not write a PNG", e);
    }
    return bytes.toByteArray();
  }

  /** Writes a PNG, pixel for pixel this image. */
  public void writePng(Path file) throws IOException {
    try (OutputStream out = PrivateFiles.newOutputStream(file)) {
      ImageIO.write(toBufferedImage(), "png", out);
    }
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Image image
        && height == image.height
        && width == image.width
        && Arrays.equals(rgb, image.rgb);
  }

  @Override
  public int hashCode() {
    return 31 * (31 * height + width) + Arrays.hashCode(rgb);
  }

  @Override
  public String toString() {
    return "image of " + height + " x " + width;
  }
}
