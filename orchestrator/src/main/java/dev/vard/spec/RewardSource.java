package dev.vard.spec;

import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Where scores come from. */
public sealed interface RewardSource {

  /** The names of the below in a specification. */
  enum Kind {
    JPEG_COMPRESSIBILITY,
    JPEG_INCOMPRESSIBILITY,
    JAVA,
    ONNX,
    GRPC,
    HTTP,
    PYTHON,
    SUM,
    SUPPLIED
  }

  Kind kind();

  /** Whether a call leaves this process, may fail for a while, and costs nothing here meanwhile. */
  default boolean remote() {
    return switch (kind()) {
      case GRPC, HTTP, PYTHON -> true;
      case JPEG_COMPRESSIBILITY, JPEG_INCOMPRESSIBILITY, JAVA, ONNX, SUM, SUPPLIED -> false;
    };
  }

  /** Minus the kilobytes of the image as a JPEG. */
  record JpegCompressibility(int quality) implements RewardSource {
    @Override
    public Kind kind() {
      return Kind.JPEG_COMPRESSIBILITY;
    }
  }

  /** The kilobytes of the image as a JPEG. */
  record JpegIncompressibility(int quality) implements RewardSource {
    @Override
    public Kind kind() {
      return Kind.JPEG_INCOMPRESSIBILITY;
    }
  }

  /**
   * A {@code dev.vard.reward.Reward} on the class path or in a jar of the plug-in folder.
   *
   * @param className with its package
   * @param options for its constructor, as the specification has them
   */
  record JavaClass(String className, Map<String, Object> options) implements RewardSource {
    public JavaClass {
      options = Map.copyOf(options);
    }

    @Override
    public Kind kind() {
      return Kind.JAVA;
    }
  }

  /**
   * A model for ONNX Runtime.
   *
   * @param model its file
   */
  record Onnx(Path model, Input input, Output output) implements RewardSource {
    @Override
    public Kind kind() {
      return Kind.ONNX;
    }

    /** How the pixels are laid out. */
    public enum Layout {
      NCHW,
      NHWC
    }

    /**
     * How an image becomes the model's input: scaled to its size, each channel x of 0 to 1 then (x
     * − mean) / deviation.
     *
     * @param size side in pixels; empty takes the model's own, or the image's where it has none
     * @param mean of red, green and blue
     * @param deviation of red, green and blue
     */
    public record Input(
        Optional<Integer> size, Layout layout, List<Double> mean, List<Double> deviation) {
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

    /**
     * @param name of the model's output; empty takes the first
     * @param index of the number or class, unless the class is named
     * @param className one of those that the model's metadata names
     */
    public record Output(Optional<String> name, Take take, int index, Optional<String> className) {}
  }

  /**
   * A {@code vard.v1.RewardService}.
   *
   * @param endpoints {@code host:port}; more than one are taken in turns
   * @param reward which of the service's rewards; empty takes its only one
   */
  record Grpc(List<String> endpoints, String reward, Access access) implements RewardSource {
    public Grpc {
      endpoints = List.copyOf(endpoints);
    }

    @Override
    public Kind kind() {
      return Kind.GRPC;
    }
  }

  /**
   * A server that takes JSON with PNGs in base64.
   *
   * @param url of the server; {@code /compute} and {@code /health} are below it
   */
  record Http(URI url, Access access) implements RewardSource {
    @Override
    public Kind kind() {
      return Kind.HTTP;
    }
  }

  /**
   * How to be let in.
   *
   * @param tls whether to encrypt; of {@link Http}, the URL says it
   * @param ca certificates to trust instead of the system's
   * @param tokenEnv environment variable that holds the bearer token: no secret stands in a
   *     specification
   */
  record Access(boolean tls, Optional<Path> ca, Optional<String> tokenEnv) {
    /** In the clear, without a token. */
    public static final Access OPEN = new Access(false, Optional.empty(), Optional.empty());
  }

  /**
   * A Python function, in a process of its own.
   *
   * @param function {@code module:name}
   * @param options keyword arguments of what makes it
   * @param device {@code auto}, {@code cpu}, {@code cuda} or {@code cuda:N}
   */
  record Python(String function, Map<String, Object> options, String device)
      implements RewardSource {
    public Python {
      options = Map.copyOf(options);
    }

    @Override
    public Kind kind() {
      return Kind.PYTHON;
    }
  }

  /** The Java program that starts the run brings its own. */
  record Supplied() implements RewardSource {
    @Override
    public Kind kind() {
      return Kind.SUPPLIED;
    }
  }
}
