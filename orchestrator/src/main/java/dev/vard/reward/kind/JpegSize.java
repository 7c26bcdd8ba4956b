package dev.vard.reward.kind;

import dev.vard.reward.Image;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.MemoryCacheImageOutputStream;

/**
 * How large an image is as a JPEG, by ImageIO: baseline, 4:2:0, standard tables. Nothing touches a
 * disk.
 */
final class JpegSize {
  private static final double BYTES_PER_KILOBYTE = 1000;

  private final int quality;

  /**
   * @param quality 1 to 100
   */
  JpegSize(int quality) {
    this.quality = quality;
  }

  /** In units of 1,000 bytes, as DDPO's compressibility reward counts. */
  double kilobytes(Image image) {
    return bytes(image.toBufferedImage()) / BYTES_PER_KILOBYTE;
  }

  private long bytes(BufferedImage image) {
    // A writer is not thread-safe.
    ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
    try {
      ImageWriteParam parameters = writer.getDefaultWriteParam();
      parameters.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
      parameters.setCompressionQuality(quality / 100f);
      Counter counter = new Counter();
      try (MemoryCacheImageOutputStream stream = new MemoryCacheImageOutputStream(counter)) {
        writer.setOutput(stream);
        writer.write(null, new IIOImage(image, null, null), parameters);
      }
      return counter.bytes;
    } catch (IOException e) {
      throw new UncheckedIOException("ImageIO could not write a JPEG", e);
    } finally {
      writer.dispose();
    }
  }

  /** Forgets what is written to it and remembers how much it was. */
  private static final class Counter extends OutputStream {
    private long bytes;

    @Override
    public void write(int b) {
      bytes++;
    }

    @Override
    public void write(byte[] buffer, int offset, int length) {
      bytes += length;
    }
  }
}
