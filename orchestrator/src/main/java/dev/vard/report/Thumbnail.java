package dev.vard.report;

import java.awt.Graphics2D;
import java.awt.Image;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import javax.imageio.ImageIO;

/**
 * A picture small enough to stand in the page.
 *
 * @param uri a data URI: the PNG itself up to {@value #AS_IT_IS} pixels a side, a JPEG of at most
 *     {@value #LARGEST} above
 * @param width pixels
 * @param height pixels
 */
record Thumbnail(String uri, int width, int height) {
  static final int AS_IT_IS = 96;
  static final int LARGEST = 192;

  static Thumbnail of(Path png) throws IOException {
    byte[] bytes = Files.readAllBytes(png);
    BufferedImage image = ImageIO.read(new ByteArrayInputStream(bytes));
    if (image == null) {
      throw new IOException(png + " is not a picture");
    }
    int side = Math.max(image.getWidth(), image.getHeight());
    if (side <= AS_IT_IS) {
      return new Thumbnail(uri("image/png", bytes), image.getWidth(), image.getHeight());
    }
    double scale = Math.min(1.0, (double) LARGEST / side);
    int width = Math.max(1, (int) Math.round(image.getWidth() * scale));
    int height = Math.max(1, (int) Math.round(image.getHeight() * scale));
    BufferedImage small = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = small.createGraphics();
    // Averages areas: Graphics2D's own interpolations leave pixels out when they shrink this far.
    graphics.drawImage(
        image.getScaledInstance(width, height, Image.SCALE_AREA_AVERAGING), 0, 0, null);
    graphics.dispose();
    ByteArrayOutputStream jpeg = new ByteArrayOutputStream();
    ImageIO.write(small, "jpeg", jpeg);
    return new Thumbnail(uri("image/jpeg", jpeg.toByteArray()), width, height);
  }

  private static String uri(String type, byte[] bytes) {
    return "data:" + type + ";base64," + Base64.getEncoder().encodeToString(bytes);
  }
}
