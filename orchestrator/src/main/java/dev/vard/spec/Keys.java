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

/** Every key of a specification. {@code docs/specification.md} is held to this list by a test. */
final class Keys {
  private static final Whole STEPS = new Whole(1, 100_000);

  /** What a worker takes: its checks.py refuses more, but only once queries are paid. */
  private static final Whole BATCH = new Whole(1, 4096);

  private static final Decimal POSITIVE = new Decimal(0, true, Double.MAX_VALUE);
  private static final Decimal RATE = new Decimal(0, true, 1);
  private static final Decimal NOT_NEGATIVE = new Decimal(0, false, Double.MAX_VALUE);

  /**
   * No control characters, and one that is no space. Patterns mean in ECMA-262, by which a JSON
   * Schema's go, what they mean in Java.
   */
  private static final Text ANY =
      new Text(
          Pattern.compile("[^\\x00-\\x1f\\x7f]*[^\\x00-\\x20\\x7f][^\\x00-\\x1f\\x7f]*"), "text");

  private static final Decimal ANY_NUMBER = new Decimal(-Double.MAX_VALUE, false, Double.MAX_VALUE);
  private static final String KIND = "reward.kind";

  /** Characters of a module's or a host's name. */
  private static final int NAME_LENGTH = 512;

  static final String DEFAULT_WORKER = "local";

  static final Key<String> NAME =
      Key.required(
          "name",
          new Text(
              Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,47}"),
              "at most 48 letters, digits, '.', '_' and '-'"),
          "Names the run; its id is the name and the time.");
  static final Key<Long> SEED =
      Key.of("seed", new Whole(0, Long.MAX_VALUE), 7L, "Every random number follows from it.");

  static final Key<String> CHECKPOINT =
      Key.required(
          "model.checkpoint",
          new Text(ANY.pattern(), "a folder in diffusers format or a hub id"),
          "The pretrained model, of a family that own-checkpoint.md lists.");
  static final Key<String> REVISION =
      Key.optional(
          "model.revision",
          new Text(ANY.pattern(), "a revision of the hub"),
          "the hub's default",
          "Branch, tag or commit of a hub id.");
  static final Key<String> DEVICE =
      Key.of(
          "model.device",
          new Text(Pattern.compile("auto|cpu|cuda(:\\d+)?"), "auto, cpu, cuda or cuda:N"),
          "auto",
          "Where the model computes; `auto` takes CUDA when present.");
  static final Key<ModelSpec.DType> DTYPE =
      Key.of(
          "model.dtype",
          new Choice<>(ModelSpec.DType.class),
          ModelSpec.DType.FLOAT32,
          "What the frozen weights are kept in; the adapter and the value network are float32.");
  static final Key<Long> HEIGHT =
      Key.optional(
          "model.height",
          new Whole(1, 16_384),
          "the model's own",
          "Pixels of the images; a multiple of what the model draws.");
  static final Key<Long> WIDTH =
      Key.optional(
          "model.width",
          new Whole(1, 16_384),
          "the model's own",
          "Pixels of the images; a multiple of what the model draws.");
  static final Key<Boolean> GRADIENT_CHECKPOINTING =
      Key.of(
          "model.gradient-checkpointing",
          new Truth(),
          false,
          "Whether the network keeps fewer activations and computes them again backwards: slower, in"
              + " less memory, with the same gradients.");
  static final Key<Boolean> OFFLOAD =
      Key.of(
          "model.offload",
          new Truth(),
          false,
          "Whether text encoders and VAE wait in the CPU's memory while they are not in use.");
  static final Key<AdapterSpec.Kind> ADAPTER_KIND =
      Key.of(
          "model.adapter.kind",
          new Choice<>(AdapterSpec.Kind.class),
          AdapterSpec.Kind.LORA,
          "What is trained.");
  static final Key<Long> RANK =
      Key.of("model.adapter.rank", new Whole(1, 1024), 8L, "The LoRA's rank.");
  static final Key<Double> ALPHA =
      Key.of("model.adapter.alpha", POSITIVE, 8.0, "The LoRA's output is scaled by alpha / rank.");
  static final Key<List<String>> TARGETS =
      Key.optional(
          "model.adapter.targets",
          new Texts("a list of module names", NAME_LENGTH, true),
          "the model family's own",
          "Ends of the names of the modules that get a LoRA, as PEFT takes them.");

  static final Key<String> PROMPTS_FILE =
      Key.optional(
          "prompts.file",
          new Text(ANY.pattern(), "a text file with a prompt a line"),
          "`prompts.list`, or an unconditional model",
          "The prompts, one a line; blank lines and lines that begin with # do not count.");
  static final Key<List<String>> PROMPTS_LIST =
      Key.optional(
          "prompts.list",
          new Texts("a list of prompts", PromptFile.LONGEST, false),
          "`prompts.file`, or an unconditional model",
          "The prompts themselves; one that stands twice is drawn twice as often.");

  static final Key<SamplerSpec.Kind> SAMPLER_KIND =
      Key.of(
          "sampler.kind",
          new Choice<>(SamplerSpec.Kind.class),
          SamplerSpec.Kind.AUTO,
          "The stochastic sampler, whatever scheduler the checkpoint was saved with; `auto` is the model"
              + " family's own: ddim, or for flow matching flow-sde.");
  static final Key<Long> SAMPLER_STEPS =
      Key.of("sampler.steps", new Whole(1, 1000), 20L, "Denoising steps T.");
  static final Key<Double> GUIDANCE =
      Key.optional(
          "sampler.guidance",
          new Decimal(1, false, 100),
          "3.0; without prompts 1.0",
          "Classifier-free guidance scale, in training and sampling alike; 1 is none.");
  static final Key<Double> ETA =
      Key.optional(
          "sampler.eta",
          new Decimal(0, false, 1.5),
          "1.0; for flow matching 0.7",
          "DDIM's η: 0 deterministic, 1 as stochastic as DDPM; of flow-sde and flow-cps how much noise a"
              + " step draws, 0 for the ODE. At most 1, of flow-sde 1.5. DDPO, and a budget or weight of the KL, need noise: they"
              + " refuse 0. DDPM ignores it.");
  static final Key<Long> SAMPLER_BATCH =
      Key.of("sampler.batch", new Whole(1, 4096), 16L, "Trajectories denoised together.");

  static final Key<ModelSpec.DType> TRAJECTORIES_DTYPE =
      Key.of(
          "trajectories.dtype",
          new Choice<>(ModelSpec.DType.class),
          ModelSpec.DType.FLOAT32,
          "What trajectories' states are kept in until they are released.");
  static final Key<TrajectoriesSpec.Device> TRAJECTORIES_DEVICE =
      Key.of(
          "trajectories.device",
          new Choice<>(TrajectoriesSpec.Device.class),
          TrajectoriesSpec.Device.MODEL,
          "Where they are kept: on the model's device, or in the CPU's memory.");

  static final Key<RewardSource.Kind> REWARD_KIND =
      Key.required(
          "reward.kind", new Choice<>(RewardSource.Kind.class), "What is made large: rewards.md.");
  static final Key<String> REWARD_NAME =
      Key.optional(
          "reward.name",
          new Text(
              Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,47}"),
              "at most 48 letters, digits, '.', '_' and '-'"),
          "its kind",
          "Names it in metrics and errors.");
  static final Key<Double> REWARD_WEIGHT =
      Key.of("reward.weight", ANY_NUMBER, 1.0, "Scores are multiplied by it; it may be negative.");
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
              DEVICE.type(),
              "auto",
              "Where the function's model computes; `auto` takes CUDA when present.")
          .onlyWith(KIND, RewardSource.Kind.PYTHON);
  static final Key<String> REWARD_MODEL =
      Key.required("reward.model", new Text(ANY.pattern(), "an ONNX file"), "The model.")
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
              new Decimals("a list of 3 numbers", 3, ANY_NUMBER),
              List.of(0.0, 0.0, 0.0),
              "Taken from red, green and blue of 0 to 1."));
  static final Key<List<Double>> ONNX_DEVIATION =
      onnx(
          Key.of(
              "reward.input.deviation",
              new Decimals("a list of 3 numbers above 0", 3, POSITIVE),
              List.of(1.0, 1.0, 1.0),
              "Red, green and blue are divided by it then."));
  static final Key<String> ONNX_OUTPUT =
      onnx(
          Key.optional(
              "reward.output.name",
              new Text(ANY.pattern(), "an output of the model"),
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
              new Text(ANY.pattern(), "a class's name"),
              "none",
              "Instead of `index`: one of the names in the model's metadata `classes`."));
  static final Key<List<String>> REWARD_ENDPOINTS =
      Key.required(
              "reward.endpoints",
              new Texts("a list of host:port", NAME_LENGTH, true),
              "Servers of `vard.v1.RewardService`; more than one are taken in turns.")
          .onlyWith(KIND, RewardSource.Kind.GRPC);
  static final Key<String> REWARD_SERVED =
      Key.optional(
              "reward.served",
              new Text(ANY.pattern(), "a reward's name"),
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
              new Text(ANY.pattern(), "a PEM file"),
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
          new Decimals("a list of the least and the most", 2, ANY_NUMBER),
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

  static final Key<AlgorithmSpec.Kind> ALGORITHM_KIND =
      Key.required(
          "algorithm.kind", new Choice<>(AlgorithmSpec.Kind.class), "How the policy is improved.");
  static final Key<Long> ITERATIONS =
      Key.of(
          "algorithm.iterations",
          STEPS,
          16L,
          "Rounds of sampling, scoring and learning, the warm-up included.");
  static final Key<Long> SAMPLES =
      Key.of(
          "algorithm.samples",
          new Whole(2, 65_536),
          32L,
          "Trajectories of each iteration; each is one reward query.");
  static final Key<Long> STALENESS =
      Key.of(
          "algorithm.staleness",
          new Whole(0, 100),
          0L,
          "So many iterations late may rewards be: the policy learns from those while newer ones"
              + " are still awaited. 0 waits for each iteration's own.");
  static final Key<ValueSpec.Kind> VALUE_KIND =
      vard(
          Key.of(
              "algorithm.value.kind",
              new Choice<>(ValueSpec.Kind.class),
              ValueSpec.Kind.CONV,
              "The value network: small and convolutional on latents, or a head on the frozen"
                  + " encoder of the denoising network, for large models."));
  static final Key<ValueSpec.Input> VALUE_INPUT =
      vard(
          Key.of(
              "algorithm.value.input",
              new Choice<>(ValueSpec.Input.class),
              ValueSpec.Input.STATE,
              "What the value network sees: the state x_t, or beside it the look-ahead, what the"
                  + " pretrained model says of the clean picture from there. It costs a network pass"
                  + " for each state, and needs fewer queries."));
  static final Key<Boolean> VALUE_PROMPT =
      vard(
          Key.of(
              "algorithm.value.prompt",
              new Truth(),
              true,
              "Whether the value network is told the prompt. false serves a reward that is a matter of"
                  + " the picture alone: what a prompt says of it has no gradient in the picture."));
  static final Key<Long> VALUE_WIDTH =
      vard(
          Key.optional(
              "algorithm.value.width",
              new Whole(8, 1024),
              "the network's own choice",
              "Channels of the value network's layers, a multiple of 8."));
  static final Key<Long> WARMUP =
      vard(
          Key.of(
              "algorithm.value.warmup",
              new Whole(0, 100_000),
              2L,
              "First iterations that fit the value and leave the policy alone. Their rewards fix"
                  + " the reward's scale; with 0, the first iteration's do."));
  static final Key<Long> VALUE_STEPS =
      vard(Key.of("algorithm.value.steps", STEPS, 40L, "Gradient steps of each iteration's fit."));
  static final Key<Long> VALUE_BATCH =
      vard(
          Key.of(
              "algorithm.value.batch",
              BATCH,
              128L,
              "(trajectory, t) pairs of each gradient step."));
  static final Key<Double> VALUE_RATE =
      vard(Key.of("algorithm.value.learning-rate", RATE, 1.0e-3, "Learning rate of the fit."));
  static final Key<Long> REPLAY =
      vard(
          Key.of(
              "algorithm.value.replay",
              new Whole(1, 100_000),
              8L,
              "The last so many iterations' trajectories are kept and fitted."));
  static final Key<Double> VALUE_NORM =
      vard(
          Key.of(
              "algorithm.value.max-gradient-norm",
              NOT_NEGATIVE,
              1.0,
              "Gradients are scaled down to this L2 norm; 0 for no bound."));
  static final Key<Long> VALUE_AHEAD =
      vard(
          Key.optional(
              "algorithm.value.ahead",
              new Whole(0, 100_000),
              "half of the steps where a reward is grpc, http or python, else 0",
              "So many of the fit's steps are taken on earlier iterations' trajectories, while this"
                  + " one's scores are awaited."));
  static final Key<Long> VALUE_MICRO_BATCH =
      vard(
          Key.optional(
              "algorithm.value.micro-batch",
              BATCH,
              "the whole batch",
              "Pairs that go through the networks together; their gradients add up to the batch's."));
  static final Key<Long> POLICY_STEPS =
      Key.of(
          "algorithm.policy.steps",
          STEPS,
          10L,
          "Gradient steps of each iteration after the warm-up.");
  static final Key<Long> POLICY_BATCH =
      Key.of("algorithm.policy.batch", BATCH, 32L, "(trajectory, t) pairs of each gradient step.");
  static final Key<Double> POLICY_RATE =
      Key.of("algorithm.policy.learning-rate", RATE, 5.0e-4, "Learning rate of the adapter.");
  static final Key<Double> FINAL_RATE =
      Key.of(
          "algorithm.policy.final-rate",
          new Decimal(0, true, 1),
          1.0,
          "Learning rate of the last iteration, as a share of learning-rate; it falls linearly. 1"
              + " keeps it.");
  static final Key<Double> PHASE_RATE =
      Key.of(
          "algorithm.policy.phase-rate",
          new Decimal(0, true, 1),
          1.0,
          "Learning rate of an iteration's last step, as a share of its first one's; it falls"
              + " linearly. 1 keeps it.");
  static final Key<Double> POLICY_NORM =
      Key.of(
          "algorithm.policy.max-gradient-norm",
          NOT_NEGATIVE,
          1.0,
          "Gradients are scaled down to this L2 norm; 0 for no bound.");
  static final Key<Long> POLICY_MICRO_BATCH =
      Key.optional(
          "algorithm.policy.micro-batch",
          BATCH,
          "the whole batch",
          "Pairs that go through the network together; their gradients add up to the batch's, in less"
              + " memory.");
  static final Key<Double> KL_BUDGET =
      Key.optional(
          "algorithm.kl.budget",
          POSITIVE,
          "60.0 where `algorithm.kl` is not given",
          "KL to the pretrained model in nats per trajectory, held by a controller that moves η.");
  static final Key<Long> KL_PROBES =
      Key.of(
          "algorithm.kl.probes",
          new Whole(0, 4096),
          0L,
          "Fresh trajectories, which nobody scores, on which the KL is measured after each policy"
              + " phase: where it is above the budget, the adapter is scaled back. 0 aims at the"
              + " budget alone, and may miss it by far.");
  static final Key<Double> KL_WEIGHT =
      Key.optional(
          "algorithm.kl.weight",
          NOT_NEGATIVE,
          "`algorithm.kl.budget`",
          "A fixed η instead, in units of normalised reward a nat.");
  static final Key<Double> CLIP =
      ddpo(
          Key.of(
              "algorithm.clip",
              POSITIVE,
              1.0e-4,
              "ε of the likelihood ratio, whose log-probabilities are averaged over the latent's"
                  + " dimensions."));
  static final Key<Double> ADVANTAGE_CLIP =
      ddpo(
          Key.of(
              "algorithm.advantage-clip",
              POSITIVE,
              5.0,
              "Advantages are kept within ± this many deviations."));

  static final Key<Long> EVERY =
      Key.of(
          "evaluate.every",
          STEPS,
          4L,
          "Iterations from one evaluation to the next. There is one before training and one after"
              + " the last iteration in any case.");
  static final Key<Long> IMAGES =
      Key.of(
          "evaluate.images",
          new Whole(2, 65_536),
          64L,
          "Images of each evaluation, on held-out seeds, the same every time.");

  static final Key<Long> BUDGET =
      Key.optional(
          "budget.queries",
          new Whole(1, Long.MAX_VALUE),
          "no bound",
          "Most images that are scored, in training and evaluation together: the run ends with the"
              + " last iteration that this pays for. Images that the cache knows count too.");

  static final Key<Long> CHECKPOINT_EVERY =
      Key.of(
          "checkpoint.every",
          new Whole(1, 100_000),
          1L,
          "Iterations from one checkpoint to the next. A run that was killed repeats what it did"
              + " since the last one.");
  static final Key<Long> CHECKPOINT_KEEP =
      Key.of(
          "checkpoint.keep",
          new Whole(1, 1000),
          3L,
          "The newest checkpoints that are kept. If one is damaged, the one before is used.");

  static final Key<String> WORKER =
      Key.of(
          "worker",
          new Text(
              Pattern.compile("local|embedded|[^ \\t-\\r]+:\\d{1,5}"),
              "local, embedded or host:port"),
          DEFAULT_WORKER,
          "Where the model runs: a process that the program starts, inside the program, or a worker"
              + " that already serves and sees the same files.");
  static final Key<Long> THREADS =
      Key.optional(
          "threads",
          new Whole(1, 4096),
          "as many as there are processors",
          "CPU threads of a worker that the program starts. Another number may give other bits.");

  static final List<Key<?>> ALL =
      List.of(
          NAME,
          SEED,
          CHECKPOINT,
          REVISION,
          DEVICE,
          DTYPE,
          HEIGHT,
          WIDTH,
          GRADIENT_CHECKPOINTING,
          OFFLOAD,
          ADAPTER_KIND,
          RANK,
          ALPHA,
          TARGETS,
          PROMPTS_FILE,
          PROMPTS_LIST,
          SAMPLER_KIND,
          SAMPLER_STEPS,
          GUIDANCE,
          ETA,
          SAMPLER_BATCH,
          TRAJECTORIES_DTYPE,
          TRAJECTORIES_DEVICE,
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
          REWARD_CACHE,
          ALGORITHM_KIND,
          ITERATIONS,
          SAMPLES,
          STALENESS,
          VALUE_KIND,
          VALUE_INPUT,
          VALUE_PROMPT,
          VALUE_WIDTH,
          WARMUP,
          VALUE_STEPS,
          VALUE_BATCH,
          VALUE_RATE,
          REPLAY,
          VALUE_NORM,
          VALUE_AHEAD,
          VALUE_MICRO_BATCH,
          POLICY_STEPS,
          POLICY_BATCH,
          POLICY_RATE,
          FINAL_RATE,
          PHASE_RATE,
          POLICY_NORM,
          POLICY_MICRO_BATCH,
          KL_BUDGET,
          KL_PROBES,
          KL_WEIGHT,
          CLIP,
          ADVANTAGE_CLIP,
          EVERY,
          IMAGES,
          BUDGET,
          CHECKPOINT_EVERY,
          CHECKPOINT_KEEP,
          WORKER,
          THREADS);

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

  private Keys() {}

  private static <T> Key<T> vard(Key<T> key) {
    return key.onlyWith("algorithm.kind", AlgorithmSpec.Kind.VARD);
  }

  private static <T> Key<T> onnx(Key<T> key) {
    return key.onlyWith(KIND, RewardSource.Kind.ONNX);
  }

  private static <T> Key<T> ddpo(Key<T> key) {
    return key.onlyWith("algorithm.kind", AlgorithmSpec.Kind.DDPO);
  }
}
