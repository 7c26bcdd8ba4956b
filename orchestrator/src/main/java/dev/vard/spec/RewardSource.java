package dev.vard.spec;

import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Where scores come from. */
public sealed interface RewardSource {

  /** The names of the below in a specification, and of their sum. */
  enum Kind implements Variant {
    JPEG_COMPRESSIBILITY(JpegCompressibility.class),
    JPEG_INCOMPRESSIBILITY(JpegIncompressibility.class),
    JAVA(JavaClass.class),
    ONNX(Onnx.class),
    GRPC(Grpc.class),
    HTTP(Http.class),
    PYTHON(Python.class),
    SUM(RewardSpec.class),
    SUPPLIED(Supplied.class);

    private final Class<? extends Record> type;

    Kind(Class<? extends Record> type) {
      this.type = type;
    }

    @Override
    public Class<? extends Record> type() {
      return type;
    }
  }

  @SpecKey(text = "What is made large: rewards.md.")
  default Kind kind() {
    return Variant.of(Kind.class, getClass());
  }

  /** Whether a call leaves this process, may fail for a while, and costs nothing here meanwhile. */
  default boolean remote() {
    return switch (kind()) {
      case GRPC, HTTP, PYTHON -> true;
      case JPEG_COMPRESSIBILITY, JPEG_INCOMPRESSIBILITY, JAVA, ONNX, SUM, SUPPLIED -> false;
    };
  }

  /** What both below have. */
  interface OfJpeg {
    @SpecKey(text = "JPEG quality.", in = "[1, 100]", byDefault = "95")
    int quality();
  }

  /** What is made by a class's constructor or a Python function. */
  interface WithOptions {
    @SpecKey(
        text = "For the class's constructor or the Python function.",
        form = "a mapping of names and plain values",
        without = "none")
    Map<String, Object> options();
  }

  /** Minus the kilobytes of the image as a JPEG. */
  record JpegCompressibility(int quality) implements RewardSource, OfJpeg {}

  /** The kilobytes of the image as a JPEG. */
  record JpegIncompressibility(int quality) implements RewardSource, OfJpeg {}

  /** A {@code dev.vard.reward.Reward} on the class path or in a jar of the plug-in folder. */
  record JavaClass(
      @SpecKey(
              text = "A `dev.vard.reward.Reward` on the class path or in a jar in `plugins`.",
              name = "class",
              pattern = "[\\p{javaJavaIdentifierPart}.]+",
              form = "a class's full name")
          String className,
      Map<String, Object> options)
      implements RewardSource, WithOptions {
    public JavaClass {
      options = Map.copyOf(options);
    }
  }

  /** A Python function, in a process of its own. */
  record Python(
      @SpecKey(
              text = "A Python function or class, run in a process of its own.",
              pattern = "[\\w.]+:[\\w.]+",
              form = "module:name")
          String function,
      Map<String, Object> options,
      @SpecKey(
              text = "Where the function's model computes; `auto` takes CUDA when present.",
              pattern = Forms.DEVICE,
              form = Forms.DEVICE_FORM,
              byDefault = "auto")
          String device)
      implements RewardSource, WithOptions {
    public Python {
      options = Map.copyOf(options);
    }
  }

  /** A model for ONNX Runtime. */
  record Onnx(
      @SpecKey(text = "The model.", form = "an ONNX file") Path model, Input input, Output output)
      implements RewardSource {
    /** How the pixels are laid out. */
    public enum Layout {
      NCHW,
      NHWC
    }

    /**
     * How an image becomes the model's input: scaled to its size, each channel x of 0 to 1 then (x
     * − mean) / deviation.
     */
    public record Input(
        @SpecKey(
                text = "Side in pixels that images are scaled to.",
                in = "[1, 8192]",
                without = "the model's own, else the image's")
            Optional<Integer> size,
        @SpecKey(text = "Order of images, channels, rows and columns.", byDefault = "nchw")
            Layout layout,
        @SpecKey(
                text = "Taken from red, green and blue of 0 to 1.",
                form = "a list of 3 numbers",
                count = 3,
                byDefault = "[0, 0, 0]")
            List<Double> mean,
        @SpecKey(
                text = "Red, green and blue are divided by it then.",
                in = Forms.POSITIVE,
                form = "a list of 3 numbers above 0",
                count = 3,
                byDefault = "[1, 1, 1]")
            List<Double> deviation) {
      public Input {
        mean = List.copyOf(mean);
        deviation = List.copyOf(deviation);
      }
    }

    /** What of the model's answer is the score. */
    public enum Take {
      /** One number of the output. */
      INDEX,
      /** One class's probability: the softmax of the output over its last axis. */
      SOFTMAX,
      /** One class's log-probability. Its gradient does not vanish where the class is sure. */
      LOG_SOFTMAX,
      /** The mean of all. */
      MEAN
    }

    /** Which number or class. */
    public record Output(
        @SpecKey(
                text = "What is looked at.",
                form = "an output of the model",
                without = "the first")
            Optional<String> name,
        @SpecKey(
                text =
                    "The score: one number, one class's probability or its logarithm, or the mean"
                        + " of all.",
                byDefault = "index")
            Take take,
        @SpecKey(
                text = "Which number or class.",
                in = "[0, " + Integer.MAX_VALUE + "]",
                byDefault = "0")
            int index,
        @SpecKey(
                text = "Instead of `index`: one of the names in the model's metadata `classes`.",
                name = "class",
                form = "a class's name",
                without = "none")
            Optional<String> className) {}
  }

  /** A {@code vard.v1.RewardService}. */
  record Grpc(
      @SpecKey(
              text = "Servers of `vard.v1.RewardService`; more than one are taken in turns.",
              form = "a list of host:port")
          List<String> endpoints,
      @SpecKey(
              text = "Which of the server's rewards.",
              name = "served",
              form = "a reward's name",
              without = "its only one")
          String reward,
      @SpecSection("reward") Access access)
      implements RewardSource {
    public Grpc {
      endpoints = List.copyOf(endpoints);
    }
  }

  /** A server that takes JSON with PNGs in base64. */
  record Http(
      @SpecKey(
              text = "The server; `/compute` and `/health` are below it.",
              pattern = "https?://[^ \\t-\\r?#]+",
              form = "an http or https URL")
          URI url,
      @SpecSection("reward") Access access)
      implements RewardSource {}

  /**
   * How to be let in.
   *
   * @param tls of {@link Http}, the URL says it
   */
  record Access(
      @SpecKey(text = "Whether to encrypt.", kinds = "grpc", byDefault = "false") boolean tls,
      @SpecKey(text = "Certificates to trust.", form = "a PEM file", without = "the system's")
          Optional<Path> ca,
      @SpecKey(
              text = "Holds the bearer token: no secret stands in a specification.",
              pattern = "[A-Za-z_][A-Za-z0-9_]*",
              form = "an environment variable",
              without = "no token")
          Optional<String> tokenEnv) {
    /** In the clear, without a token. */
    public static final Access OPEN = new Access(false, Optional.empty(), Optional.empty());
  }

  /** The Java program that starts the run brings its own. */
  record Supplied() implements RewardSource {}
}
