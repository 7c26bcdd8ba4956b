package dev.vard.reward.kind;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.TensorInfo;
import dev.vard.reward.Image;
import dev.vard.reward.RewardException;
import dev.vard.spec.RewardSource;
import dev.vard.spec.RewardSource.Onnx.Layout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.ConcurrentLinkedDeque;

/** Makes a model's input of images. Used by several threads. */
final class OnnxInput {
  private static final int CHANNELS = 3;
  private static final int LEVELS = 256;
  private static final List<Double> ZERO = List.of(0.0, 0.0, 0.0);
  private static final List<Double> ONE = List.of(1.0, 1.0, 1.0);

  /** Height and width. */
  record Size(int height, int width) {
    @Override
    public String toString() {
      return height + " x " + width;
    }
  }

  private final Layout layout;
  private final boolean bytes;

  /** How many images the model takes at once; empty if any number. */
  private final Optional<Integer> batch;

  /** Empty where the model takes images of any size. */
  private final Optional<Size> size;

  /** What becomes of a number of 0 to 255: times the factor, plus the shift. */
  private final float[] factor = new float[CHANNELS];

  private final float[] shift = new float[CHANNELS];

  /** The same, of each byte. */
  private final float[][] level = new float[CHANNELS][LEVELS];

  private final Resampling resampling = new Resampling();

  /** No more than there were calls at once. */
  private final Deque<ByteBuffer> free = new ConcurrentLinkedDeque<>();

  private OnnxInput(
      RewardSource.Onnx.Input input, boolean bytes, Optional<Integer> batch, Optional<Size> size) {
    this.layout = input.layout();
    this.bytes = bytes;
    this.batch = batch;
    this.size = size;
    for (int c = 0; c < CHANNELS; c++) {
      double deviation = input.deviation().get(c);
      factor[c] = bytes ? 1 : (float) (1 / (255 * deviation));
      shift[c] = bytes ? 0 : (float) (-input.mean().get(c) / deviation);
      for (int i = 0; i < LEVELS; i++) {
        level[c][i] = bytes ? i : (float) ((i / 255.0 - input.mean().get(c)) / deviation);
      }
    }
  }

  /**
   * @param name of the reward
   * @param model what the model's only input takes
   * @throws RewardException if images cannot be made into it
   */
  static OnnxInput of(String name, RewardSource.Onnx.Input input, TensorInfo model) {
    long[] shape = model.getShape();
    boolean last = input.layout() == Layout.NHWC;
    boolean bytes = model.type == OnnxJavaType.UINT8;
    if (!bytes && model.type != OnnxJavaType.FLOAT) {
      throw wrong(
          name, "the model's input is of %s; export it with one of float32".formatted(model.type));
    }
    if (bytes && !(input.mean().equals(ZERO) && input.deviation().equals(ONE))) {
      throw wrong(
          name,
          "the model takes bytes as they are; leave out reward.input.mean and"
              + " reward.input.deviation");
    }
    if (shape.length != 4) {
      throw wrong(
          name,
          "the model's input is %s, and images are [images, 3, rows, columns]; export it so"
              .formatted(Arrays.toString(shape)));
    }
    long channels = shape[last ? 3 : 1];
    boolean turned = shape[last ? 1 : 3] == CHANNELS;
    if (channels != CHANNELS && (channels >= 0 || turned)) {
      throw wrong(
          name,
          "the model's input %s has %s channels as %s, and images have 3; %s"
              .formatted(
                  Arrays.toString(shape),
                  channels < 0 ? "any number of" : channels,
                  lower(input.layout()),
                  turned
                      ? "set reward.input.layout: " + lower(last ? Layout.NCHW : Layout.NHWC)
                      : "export it with an input of red, green and blue"));
    }
    long height = shape[last ? 1 : 2];
    long width = shape[last ? 2 : 3];
    Optional<Integer> given = input.size();
    if (given.isPresent()
        && ((height > 0 && height != given.get()) || (width > 0 && width != given.get()))) {
      throw wrong(
          name,
          "the model takes images of %s, and reward.input.size is %d; leave it out"
              .formatted(new Size((int) height, (int) width), given.get()));
    }
    Optional<Size> size =
        height > 0 && width > 0
            ? Optional.of(new Size((int) height, (int) width))
            : given.map(side -> new Size(side, side));
    if (size.isEmpty() && (height > 0 || width > 0)) {
      throw wrong(
          name,
          "the model fixes one side of its images only, in %s; set reward.input.size"
              .formatted(Arrays.toString(shape)));
    }
    Optional<Integer> batch = shape[0] > 0 ? Optional.of((int) shape[0]) : Optional.empty();
    return new OnnxInput(input, bytes, batch, size);
  }

  private static String lower(Layout layout) {
    return layout.name().toLowerCase(Locale.ROOT);
  }

  private static RewardException wrong(String name, String problem) {
    return new RewardException(name, "WRONG_MODEL", problem, false, null);
  }

  Optional<Integer> batch() {
    return batch;
  }

  Optional<Size> size() {
    return size;
  }

  /** The size that an image is scaled to. */
  Size sizeFor(Image image) {
    return size.orElseGet(() -> new Size(image.height(), image.width()));
  }

  /** What is given to the model, in memory that is used again. */
  final class Filled implements AutoCloseable {
    private final OnnxTensor tensor;
    private final ByteBuffer memory;
    private final int images;

    private Filled(OnnxTensor tensor, ByteBuffer memory, int images) {
      this.tensor = tensor;
      this.memory = memory;
      this.images = images;
    }

    OnnxTensor tensor() {
      return tensor;
    }

    /** How many, with those that only fill a batch. */
    int images() {
      return images;
    }

    @Override
    public void close() {
      tensor.close();
      free.push(memory);
    }
  }

  /**
   * All of one size after scaling. A model that takes a fixed number gets black ones after them.
   */
  Filled fill(OrtEnvironment environment, List<Image> images) throws OrtException {
    Size to = sizeFor(images.getFirst());
    int count = batch.orElse(images.size());
    int each = Math.multiplyExact(CHANNELS * to.height, to.width);
    long[] shape =
        layout == Layout.NCHW
            ? new long[] {count, CHANNELS, to.height, to.width}
            : new long[] {count, to.height, to.width, CHANNELS};
    ByteBuffer memory =
        memory(Math.multiplyExact(Math.multiplyExact(count, each), bytes ? 1 : Float.BYTES));
    float[] black = images.size() < count ? numbers(black(to), to) : new float[0];
    FloatBuffer floats = memory.asFloatBuffer();
    for (int i = 0; i < count; i++) {
      float[] numbers = i < images.size() ? numbers(images.get(i), to) : black;
      if (bytes) {
        for (int j = 0; j < each; j++) {
          memory.put(i * each + j, (byte) Math.round(numbers[j]));
        }
      } else {
        floats.put(numbers);
      }
    }
    OnnxTensor tensor =
        bytes
            ? OnnxTensor.createTensor(environment, memory, shape, OnnxJavaType.UINT8)
            : OnnxTensor.createTensor(environment, floats.rewind(), shape);
    return new Filled(tensor, memory, count);
  }

  static Image black(Size size) {
    return Image.of(size.height, size.width, new byte[CHANNELS * size.height * size.width]);
  }

  /** Outside of the heap, where it would be let go of only at a collection. */
  private ByteBuffer memory(int size) {
    ByteBuffer memory = free.poll();
    return memory != null && memory.capacity() >= size
        ? memory.clear().limit(size)
        : ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder());
  }

  /** One image's numbers in their layout. */
  private float[] numbers(Image image, Size to) {
    byte[] rgb = image.toBytes();
    int pixels = to.height * to.width;
    // Of pixel p and channel c: at p * pixelStep + c * channelStep.
    int pixelStep = layout == Layout.NCHW ? 1 : CHANNELS;
    int channelStep = layout == Layout.NCHW ? pixels : 1;
    float[] out = new float[CHANNELS * pixels];
    if (image.height() == to.height && image.width() == to.width) {
      float[] reds = level[0];
      float[] greens = level[1];
      float[] blues = level[2];
      int from = 0;
      int at = 0;
      for (int p = 0; p < pixels; p++) {
        out[at] = reds[rgb[from] & 0xff];
        out[at + channelStep] = greens[rgb[from + 1] & 0xff];
        out[at + 2 * channelStep] = blues[rgb[from + 2] & 0xff];
        from += CHANNELS;
        at += pixelStep;
      }
      return out;
    }
    float[] scaled = resampling.scale(rgb, image.height(), image.width(), to.height, to.width);
    for (int c = 0; c < CHANNELS; c++) {
      for (int p = 0, from = c, at = c * channelStep; p < pixels; p++) {
        out[at] = scaled[from] * factor[c] + shift[c];
        from += CHANNELS;
        at += pixelStep;
      }
    }
    return out;
  }
}
