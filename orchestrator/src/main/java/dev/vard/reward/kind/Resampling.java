package dev.vard.reward.kind;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Scales images by the triangle filter, widened by the factor where it makes them smaller, so that
 * every pixel counts: what PyTorch calls {@code interpolate(mode="bilinear", antialias=True)}, and
 * Pillow {@code BILINEAR}, which also rounds to bytes after each direction. Used by several
 * threads.
 */
final class Resampling {
  private static final int CHANNELS = 3;

  /**
   * The filter of one direction.
   *
   * @param first of each output, the input that its weights begin with
   * @param weights of each output; their sum is 1
   */
  private record Filter(int[] first, float[][] weights) {
    static Filter of(int from, int to) {
      double factor = (double) from / to;
      double radius = Math.max(factor, 1);
      int[] first = new int[to];
      float[][] weights = new float[to][];
      for (int i = 0; i < to; i++) {
        double centre = (i + 0.5) * factor;
        int low = Math.max(0, (int) (centre - radius + 0.5));
        int high = Math.min(from, (int) (centre + radius + 0.5));
        double[] raw = new double[high - low];
        double sum = 0;
        for (int j = 0; j < raw.length; j++) {
          raw[j] = Math.max(0, 1 - Math.abs((low + j + 0.5 - centre) / radius));
          sum += raw[j];
        }
        first[i] = low;
        weights[i] = new float[raw.length];
        for (int j = 0; j < raw.length; j++) {
          weights[i][j] = (float) (raw[j] / sum);
        }
      }
      return new Filter(first, weights);
    }
  }

  private record Sizes(int from, int to) {}

  private final Map<Sizes, Filter> filters = new ConcurrentHashMap<>();

  /**
   * @param rgb height × width × 3 bytes, 0 to 255
   * @return toHeight × toWidth × 3 of 0 to 255, not rounded
   */
  float[] scale(byte[] rgb, int height, int width, int toHeight, int toWidth) {
    float[] narrow = new float[height * toWidth * CHANNELS];
    Filter across = filter(width, toWidth);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < toWidth; x++) {
        float[] weights = across.weights[x];
        int at = (y * width + across.first[x]) * CHANNELS;
        float red = 0;
        float green = 0;
        float blue = 0;
        for (float weight : weights) {
          red += weight * (rgb[at] & 0xff);
          green += weight * (rgb[at + 1] & 0xff);
          blue += weight * (rgb[at + 2] & 0xff);
          at += CHANNELS;
        }
        int to = (y * toWidth + x) * CHANNELS;
        narrow[to] = red;
        narrow[to + 1] = green;
        narrow[to + 2] = blue;
      }
    }
    int row = toWidth * CHANNELS;
    float[] scaled = new float[toHeight * row];
    Filter down = filter(height, toHeight);
    for (int y = 0; y < toHeight; y++) {
      float[] weights = down.weights[y];
      for (int j = 0; j < weights.length; j++) {
        float weight = weights[j];
        int from = (down.first[y] + j) * row;
        int to = y * row;
        for (int x = 0; x < row; x++) {
          scaled[to + x] += weight * narrow[from + x];
        }
      }
    }
    return scaled;
  }

  private Filter filter(int from, int to) {
    return filters.computeIfAbsent(new Sizes(from, to), sizes -> Filter.of(from, to));
  }
}
