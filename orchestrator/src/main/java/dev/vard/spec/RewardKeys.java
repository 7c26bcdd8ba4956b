package dev.vard.spec;

import dev.vard.spec.ValueType.Choice;
import dev.vard.spec.ValueType.Decimal;
import dev.vard.spec.ValueType.Decimals;
import dev.vard.spec.ValueType.Mappings;
import dev.vard.spec.ValueType.Options;
import dev.vard.spec.ValueType.Text;
import dev.vard.spec.ValueType.Texts;
import dev.vard.spec.ValueType.Truth;
import dev.vard.spec.ValueType.Whole;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** The keys of {@code reward}, and of a sum's parts. */
final class RewardKeys {
  private static final String KIND = "reward.kind";

  static final Key<RewardSource.Kind> REWARD_KIND =
      Key.required(
          "reward.kind", new Choice<>(RewardSource.Kind.class), "What is made large: rewards.md.");
  static final Key<String> REWARD_NAME =
      Key.optional("reward.name", Forms.NAME, "its kind", "Names it in metrics and errors.");
  static final Key<Double> REWARD_WEIGHT =
      Key.of(
          "reward.weight",
          Forms.ANY_NUMBER,
          1.0,
          "Scores are multiplied by it; it may be negative.");
  static final Key<RewardSpec.Normalise> REWARD_NORMALISE =
      Key.optional(
          "reward.normalise",
          new Choice<>(RewardSpec.Normalise.class),
          "`fixed`",
          "In a part of a sum: before it is weighted, a score's mean is taken from it and it is"
              + " divided by its deviation: those over the pretrained model's images of the first"
              + " evaluation (`fixed`), over these and all training images so far (`running`), or"
              + " not at all (`none`).");
  static final Key<List<Tree.Mapping>> REWARD_PARTS =
      Key.required(
              "reward.parts",
              new Mappings(64, "a list of at most 64 rewards, each with its kind and keys"),
              "What is summed.")
          .onlyWith(KIND, RewardSource.Kind.SUM);
  static final Key<Long> REWARD_QUALITY =
      Key.of("reward.quality", new Whole(1, 100), 95L, "JPEG quality.")
          .onlyWith(
              KIND,
              RewardSource.Kind.JPEG_COMPRESSIBILITY,
              RewardSource.Kind.JPEG_INCOMPRESSIBILITY);
  static final Key<String> REWARD_CLASS =
      Key.required(
              "reward.class",
              new Text(Pattern.compile("[\\p{javaJavaIdentifierPart}.]+"), "a class's full name"),
              "A `dev.vard.reward.Reward` on the class path or in a jar in `plugins`.")
          .onlyWith(KIND, RewardSource.Kind.JAVA);
  static final Key<String> REWARD_FUNCTION =
      Key.required(
              "reward.function",
              new Text(Pattern.compile("[\\w.]+:[\\w.]+"), "module:name"),
              "A Python function or class, run in a process of its own.")
          .onlyWith(KIND, RewardSource.Kind.PYTHON);
  static final Key<Map<String, Object>> REWARD_OPTIONS =
      Key.optional(
              "reward.options",
              new Options("a mapping of names and plain values"),
              "none",
              "For the class's constructor or the Python function.")
          .onlyWith(KIND, RewardSource.Kind.JAVA, RewardSource.Kind.PYTHON);
  static final Key<String> REWARD_DEVICE =
      Key.of(
              "reward.device",
              Forms.DEVICE,
              "auto",
              "Where the function's model computes; `auto` takes CUDA when present.")
          .onlyWith(KIND, RewardSource.Kind.PYTHON);
  static final Key<String> REWARD_MODEL =
      Key.required("reward.model", new Text(Forms.ANY.pattern(), "an ONNX file"), "The model.")
          .onlyWith(KIND, RewardSource.Kind.ONNX);
  static final Key<Long> ONNX_SIZE =
      onnx(
          Key.optional(
              "reward.input.size",
              new Whole(1, 8192),
              "the model's own, else the image's",
              "Side in pixels that images are scaled to."));
  static final Key<RewardSource.Onnx.Layout> ONNX_LAYOUT =
      onnx(
          Key.of(
              "reward.input.layout",
              new Choice<>(RewardSource.Onnx.Layout.class),
              RewardSource.Onnx.Layout.NCHW,
              "Order of images, channels, rows and columns."));
  static final Key<List<Double>> ONNX_MEAN =
      onnx(
          Key.of(
              "reward.input.mean",
              new Decimals("a list of 3 numbers", 3, Forms.ANY_NUMBER),
              List.of(0.0, 0.0, 0.0),
              "Taken from red, green and blue of 0 to 1."));
  static final Key<List<Double>> ONNX_DEVIATION =
      onnx(
          Key.of(
              "reward.input.deviation",
              new Decimals("a list of 3 numbers above 0", 3, Forms.POSITIVE),
              List.of(1.0, 1.0, 1.0),
              "Red, green and blue are divided by it then."));
  static final Key<String> ONNX_OUTPUT =
      onnx(
          Key.optional(
              "reward.output.name",
              new Text(Forms.ANY.pattern(), "an output of the model"),
              "the first",
              "What is looked at."));
  static final Key<RewardSource.Onnx.Take> ONNX_TAKE =
      onnx(
          Key.of(
              "reward.output.take",
              new Choice<>(RewardSource.Onnx.Take.class),
              RewardSource.Onnx.Take.INDEX,
              "The score: one number, one class's probability or its logarithm, or the mean of"
                  + " all."));
  static final Key<Long> ONNX_INDEX =
      onnx(
          Key.of(
              "reward.output.index",
              new Whole(0, Integer.MAX_VALUE),
              0L,
              "Which number or class."));
  static final Key<String> ONNX_CLASS =
      onnx(
          Key.optional(
              "reward.output.class",
              new Text(Forms.ANY.pattern(), "a class's name"),
              "none",
              "Instead of `index`: one of the names in the model's metadata `classes`."));
  static final Key<List<String>> REWARD_ENDPOINTS =
      Key.required(
              "reward.endpoints",
              new Texts("a list of host:port", Forms.NAME_LENGTH, true),
              "Servers of `vard.v1.RewardService`; more than one are taken in turns.")
          .onlyWith(KIND, RewardSource.Kind.GRPC);
  static final Key<String> REWARD_SERVED =
      Key.optional(
              "reward.served",
              new Text(Forms.ANY.pattern(), "a reward's name"),
              "its only one",
              "Which of the server's rewards.")
          .onlyWith(KIND, RewardSource.Kind.GRPC);
  static final Key<Boolean> REWARD_TLS =
      Key.of("reward.tls", new Truth(), false, "Whether to encrypt.")
          .onlyWith(KIND, RewardSource.Kind.GRPC);
  static final Key<String> REWARD_URL =
      Key.required(
              "reward.url",
              new Text(Pattern.compile("https?://[^ \\t-\\r?#]+"), "an http or https URL"),
              "The server; `/compute` and `/health` are below it.")
          .onlyWith(KIND, RewardSource.Kind.HTTP);
  static final Key<String> REWARD_CA =
      Key.optional(
              "reward.ca",
              new Text(Forms.ANY.pattern(), "a PEM file"),
              "the system's",
              "Certificates to trust.")
          .onlyWith(KIND, RewardSource.Kind.GRPC, RewardSource.Kind.HTTP);
  static final Key<String> REWARD_TOKEN =
      Key.optional(
              "reward.token-env",
              new Text(Pattern.compile("[A-Za-z_][A-Za-z0-9_]*"), "an environment variable"),
              "no token",
              "Holds the bearer token: no secret stands in a specification.")
          .onlyWith(KIND, RewardSource.Kind.GRPC, RewardSource.Kind.HTTP);
  static final Key<Long> REWARD_BATCH =
      Key.optional(
          "reward.batch",
          new Whole(1, 4096),
          AskingSpec.REMOTE_BATCH + " of grpc, http and python, else the reward's own",
          "Most images in one call.");
  static final Key<Long> REWARD_CONCURRENCY =
      Key.optional(
          "reward.concurrency",
          new Whole(1, 1024),
          AskingSpec.REMOTE_CONCURRENCY + " of grpc, http and python, else the reward's own",
          "Most calls at the same time.");
  static final Key<Double> REWARD_TIMEOUT =
      Key.of(
          "reward.timeout",
          new Decimal(0, true, 86_400),
          (double) AskingSpec.DEFAULT_TIMEOUT.toSeconds(),
          "Seconds until a call of grpc, http or python counts as failed.");
  static final Key<Long> REWARD_RETRIES =
      Key.optional(
          "reward.retries",
          new Whole(0, 1000),
          AskingSpec.REMOTE_RETRIES + " of grpc, http and python, else 0",
          "How often a query is asked again whose failure may pass.");
  static final Key<List<Double>> REWARD_RANGE =
      Key.optional(
          "reward.range",
          new Decimals("a list of the least and the most", 2, Forms.ANY_NUMBER),
          "what the reward says of itself",
          "What scores must lie in, both ends included.");
  static final Key<RewardSpec.OnFailure> REWARD_ON_FAILURE =
      Key.of(
          "reward.on-failure",
          new Choice<>(RewardSpec.OnFailure.class),
          RewardSpec.OnFailure.PAUSE,
          "What becomes of a query that failed for good: the run pauses until the reward is mended,"
              + " or the sample is left out and counted. Never a score.");
  static final Key<Double> REWARD_MOST_DROPPED =
      Key.of(
          "reward.most-dropped",
          new Decimal(0, true, 0.5),
          RewardSpec.DEFAULT_MOST_DROPPED,
          "With `on-failure: drop`, the largest share of a round that may be left out; beyond it"
              + " the run pauses.");
  static final Key<Boolean> REWARD_CACHE =
      Key.of(
          "reward.cache",
          new Truth(),
          false,
          "Whether identical images with identical prompts are asked once in a run.");

  static final List<Key<?>> ALL =
      List.of(
          REWARD_KIND,
          REWARD_NAME,
          REWARD_WEIGHT,
          REWARD_NORMALISE,
          REWARD_PARTS,
          REWARD_QUALITY,
          REWARD_CLASS,
          REWARD_FUNCTION,
          REWARD_OPTIONS,
          REWARD_DEVICE,
          REWARD_MODEL,
          ONNX_SIZE,
          ONNX_LAYOUT,
          ONNX_MEAN,
          ONNX_DEVIATION,
          ONNX_OUTPUT,
          ONNX_TAKE,
          ONNX_INDEX,
          ONNX_CLASS,
          REWARD_ENDPOINTS,
          REWARD_SERVED,
          REWARD_TLS,
          REWARD_URL,
          REWARD_CA,
          REWARD_TOKEN,
          REWARD_BATCH,
          REWARD_CONCURRENCY,
          REWARD_TIMEOUT,
          REWARD_RETRIES,
          REWARD_RANGE,
          REWARD_ON_FAILURE,
          REWARD_MOST_DROPPED,
          REWARD_CACHE);

  /** Keys that a sum leaves to its parts. */
  static final List<Key<?>> OF_PARTS =
      List.of(
          REWARD_NAME,
          REWARD_WEIGHT,
          REWARD_NORMALISE,
          REWARD_BATCH,
          REWARD_CONCURRENCY,
          REWARD_TIMEOUT,
          REWARD_RETRIES,
          REWARD_RANGE);

  /** Keys that the parts of a sum leave to it. */
  static final List<Key<?>> OF_SUMS =
      List.of(REWARD_PARTS, REWARD_ON_FAILURE, REWARD_MOST_DROPPED, REWARD_CACHE);

  private RewardKeys() {}

  private static <T> Key<T> onnx(Key<T> key) {
    return key.onlyWith(KIND, RewardSource.Kind.ONNX);
  }
}
