package dev.vard.reward.kind;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.TensorInfo;
import dev.vard.reward.RewardException;
import dev.vard.spec.AskingSpec.Range;
import dev.vard.spec.RewardSource;
import dev.vard.spec.RewardSource.Onnx.Take;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Takes scores from what a model gives.
 *
 * @param reward its name
 * @param name of the model's output
 * @param classes names of the numbers, where the model tells them
 */
record OnnxOutput(String reward, String name, Take take, int index, List<String> classes) {

  /**
   * @param outputs the model's, in their order
   * @param classes names of the numbers, where the model tells them; else none
   * @throws RewardException if the model has not what is asked for
   */
  static OnnxOutput of(
      String reward,
      RewardSource.Onnx.Output asked,
      Map<String, NodeInfo> outputs,
      List<String> classes) {
    String name = asked.name().orElseGet(() -> outputs.keySet().iterator().next());
    NodeInfo node = outputs.get(name);
    if (node == null) {
      throw wrong(
          reward,
          "the model has no output '%s', it has %s; set reward.output.name to one of them"
              .formatted(name, String.join(", ", outputs.keySet())));
    }
    if (!(node.getInfo() instanceof TensorInfo info)
        || switch (info.type) {
          case FLOAT, FLOAT16, BFLOAT16, DOUBLE -> false;
          default -> true; // an enum of the library
        }) {
      throw wrong(
          reward,
          "the model's output '%s' is no tensor of floating-point numbers; set reward.output.name"
                  .formatted(name)
              + " to another of "
              + String.join(", ", outputs.keySet()));
    }
    int index = asked.className().map(one -> index(reward, one, classes)).orElse(asked.index());
    OnnxOutput output = new OnnxOutput(reward, name, asked.take(), index, classes);
    long[] shape = info.getShape();
    if (shape.length > 1 && Arrays.stream(shape).skip(1).allMatch(side -> side > 0)) {
      output.check(shape);
    }
    return output;
  }

  private static int index(String reward, String className, List<String> classes) {
    int index = classes.indexOf(className);
    if (index < 0) {
      throw wrong(
          reward,
          classes.isEmpty()
              ? "the model's metadata has no names of classes under 'classes'; set"
                  + " reward.output.index instead of reward.output.class"
              : "the model has no class '%s', it has %s; set reward.output.class to one of them"
                  .formatted(className, String.join(", ", classes)));
    }
    if (index != classes.lastIndexOf(className)) {
      throw wrong(
          reward,
          "the model has several classes '%s'; set reward.output.index to the one that is meant"
              .formatted(className));
    }
    return index;
  }

  /** What scores lie in, where that is known. */
  Optional<Range> range() {
    return switch (take) {
      case SOFTMAX -> Optional.of(new Range(0, 1));
      case LOG_SOFTMAX -> Optional.of(new Range(Double.NEGATIVE_INFINITY, 0));
      case INDEX, MEAN -> Optional.empty();
    };
  }

  /**
   * @param images how many of the numbers' first axis are wanted
   * @param fed how many were given to the model
   * @throws RewardException if the numbers are not as many for each
   */
  double[] scores(OnnxValue value, int images, int fed) {
    OnnxTensor tensor = (OnnxTensor) value;
    long[] shape = tensor.getInfo().getShape();
    boolean apart = shape.length == 0 || shape[0] != fed;
    if (apart && !(fed == 1 && shape.length == 0)) {
      throw wrong(
          reward,
          "the model answered %d images with '%s' of %s, and its first side is to be the images'"
              .formatted(fed, name, Arrays.toString(shape)));
    }
    check(shape);
    double[] numbers = numbers(tensor);
    int each = numbers.length / fed;
    double[] scores = new double[images];
    for (int i = 0; i < images; i++) {
      scores[i] = score(numbers, i * each, each);
    }
    return scores;
  }

  /** Whether one image's numbers are enough for the index, and have one axis if need be. */
  private void check(long[] shape) {
    long numbers = 1;
    for (int i = 1; i < shape.length; i++) {
      numbers *= shape[i];
    }
    int each = Math.toIntExact(numbers);
    boolean softmax = take == Take.SOFTMAX || take == Take.LOG_SOFTMAX;
    if (softmax && (each == 1 || shape[shape.length - 1] != each)) {
      throw wrong(
          reward,
          "the model's output '%s' is %s for each image, and a softmax is of several numbers on the"
                  .formatted(name, Arrays.toString(Arrays.copyOfRange(shape, 1, shape.length)))
              + " last axis; set reward.output.take: index or mean");
    }
    if (take != Take.MEAN && index >= each) {
      throw wrong(
          reward,
          "reward.output.index is %d, and the model's output '%s' has %d numbers for each image%s;"
                  .formatted(index, name, each, named(each))
              + " set it to 0 to "
              + (each - 1));
    }
  }

  private String named(int each) {
    return classes.size() == each ? " (" + String.join(", ", classes) + ")" : "";
  }

  private double score(double[] numbers, int from, int each) {
    return switch (take) {
      case INDEX -> numbers[from + index];
      case MEAN -> Arrays.stream(numbers, from, from + each).sum() / each;
      case LOG_SOFTMAX -> logSoftmax(numbers, from, each);
      case SOFTMAX -> Math.exp(logSoftmax(numbers, from, each));
    };
  }

  /** x_i − max − ln Σ exp(x − max): nothing overflows, and it is never above 0. */
  private double logSoftmax(double[] numbers, int from, int each) {
    double most = Double.NEGATIVE_INFINITY;
    for (int i = from; i < from + each; i++) {
      most = Math.max(most, numbers[i]);
    }
    double sum = 0;
    for (int i = from; i < from + each; i++) {
      sum += Math.exp(numbers[i] - most);
    }
    return numbers[from + index] - most - Math.log(sum);
  }

  private static double[] numbers(OnnxTensor tensor) {
    DoubleBuffer doubles = tensor.getDoubleBuffer();
    if (doubles != null) {
      double[] numbers = new double[doubles.remaining()];
      doubles.get(numbers);
      return numbers;
    }
    FloatBuffer floats = tensor.getFloatBuffer(); // of half precision too
    double[] numbers = new double[floats.remaining()];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = floats.get(i);
    }
    return numbers;
  }

  private static RewardException wrong(String reward, String problem) {
    return new RewardException(reward, "WRONG_MODEL", problem, false, null);
  }
}
