package dev.vard.spec;

import dev.vard.spec.ValueType.Choice;
import dev.vard.spec.ValueType.Decimal;
import dev.vard.spec.ValueType.Text;
import dev.vard.spec.ValueType.Texts;
import dev.vard.spec.ValueType.Whole;
import java.util.List;
import java.util.regex.Pattern;

/** Every key of a specification. {@code docs/specification.md} is held to this list by a test. */
final class Keys {
  private static final Whole STEPS = new Whole(1, 100_000);
  private static final Whole BATCH = new Whole(1, 65_536);
  private static final Decimal POSITIVE = new Decimal(0, true, Double.MAX_VALUE);
  private static final Decimal NOT_NEGATIVE = new Decimal(0, false, Double.MAX_VALUE);
  private static final Text ANY =
      new Text(Pattern.compile("\\P{Cntrl}*[\\S&&\\P{Cntrl}]\\P{Cntrl}*"), "text");

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
          "The pretrained model: `StableDiffusionPipeline` or unconditional `DDPMPipeline`.");
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
      Key.of(
          "model.adapter.targets",
          new Texts("a list of module names"),
          List.of("to_q", "to_k", "to_v", "to_out.0"),
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
          new Texts("a list of prompts"),
          "`prompts.file`, or an unconditional model",
          "The prompts themselves.");

  static final Key<SamplerSpec.Kind> SAMPLER_KIND =
      Key.of(
          "sampler.kind",
          new Choice<>(SamplerSpec.Kind.class),
          SamplerSpec.Kind.DDIM,
          "The stochastic sampler, whatever scheduler the checkpoint was saved with.");
  static final Key<Long> SAMPLER_STEPS =
      Key.of("sampler.steps", new Whole(1, 1000), 20L, "Denoising steps T.");
  static final Key<Double> GUIDANCE =
      Key.optional(
          "sampler.guidance",
          new Decimal(1, false, 100),
          "3.0; without prompts 1.0",
          "Classifier-free guidance scale, in training and sampling alike; 1 is none.");
  static final Key<Double> ETA =
      Key.of(
          "sampler.eta",
          new Decimal(0, false, 1),
          1.0,
          "DDIM's η: 0 deterministic, 1 as stochastic as DDPM. DDPM ignores it.");
  static final Key<Long> SAMPLER_BATCH =
      Key.of("sampler.batch", new Whole(1, 4096), 16L, "Trajectories denoised together.");

  static final Key<RewardSpec.Kind> REWARD_KIND =
      Key.required(
          "reward.kind",
          new Choice<>(RewardSpec.Kind.class),
          "What is made large: minus or plus the kilobytes of the image as a JPEG, or the reward"
              + " that a Java program brings.");
  static final Key<Long> REWARD_QUALITY =
      Key.of("reward.quality", new Whole(1, 100), 95L, "JPEG quality.")
          .onlyWith(
              "reward.kind",
              RewardSpec.Kind.JPEG_COMPRESSIBILITY,
              RewardSpec.Kind.JPEG_INCOMPRESSIBILITY);

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
  static final Key<ValueSpec.Kind> VALUE_KIND =
      vard(
          Key.of(
              "algorithm.value.kind",
              new Choice<>(ValueSpec.Kind.class),
              ValueSpec.Kind.CONV,
              "The value network: small and convolutional on latents, or a head on the frozen"
                  + " encoder of the denoising network, for large models."));
  static final Key<Long> VALUE_WIDTH =
      vard(
          Key.optional(
              "algorithm.value.width",
              new Whole(1, 4096),
              "the network's own choice",
              "Channels of the value network's layers."));
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
      vard(Key.of("algorithm.value.learning-rate", POSITIVE, 1.0e-3, "Learning rate of the fit."));
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
  static final Key<Long> POLICY_STEPS =
      Key.of(
          "algorithm.policy.steps",
          STEPS,
          10L,
          "Gradient steps of each iteration after the warm-up.");
  static final Key<Long> POLICY_BATCH =
      Key.of("algorithm.policy.batch", BATCH, 32L, "(trajectory, t) pairs of each gradient step.");
  static final Key<Double> POLICY_RATE =
      Key.of("algorithm.policy.learning-rate", POSITIVE, 5.0e-4, "Learning rate of the adapter.");
  static final Key<Double> FINAL_RATE =
      Key.of(
          "algorithm.policy.final-rate",
          new Decimal(0, true, 1),
          1.0,
          "Learning rate of the last iteration, as a share of learning-rate; it falls linearly. 1"
              + " keeps it.");
  static final Key<Double> POLICY_NORM =
      Key.of(
          "algorithm.policy.max-gradient-norm",
          NOT_NEGATIVE,
          1.0,
          "Gradients are scaled down to this L2 norm; 0 for no bound.");
  static final Key<Double> KL_BUDGET =
      Key.optional(
          "algorithm.kl.budget",
          POSITIVE,
          "60.0 where `algorithm.kl` is not given",
          "KL to the pretrained model in nats per trajectory, held by a controller that moves η.");
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
          new Text(Pattern.compile("local|embedded|\\S+:\\d{1,5}"), "local, embedded or host:port"),
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
          REWARD_KIND,
          REWARD_QUALITY,
          ALGORITHM_KIND,
          ITERATIONS,
          SAMPLES,
          VALUE_KIND,
          VALUE_WIDTH,
          WARMUP,
          VALUE_STEPS,
          VALUE_BATCH,
          VALUE_RATE,
          REPLAY,
          VALUE_NORM,
          POLICY_STEPS,
          POLICY_BATCH,
          POLICY_RATE,
          FINAL_RATE,
          POLICY_NORM,
          KL_BUDGET,
          KL_WEIGHT,
          CLIP,
          ADVANTAGE_CLIP,
          EVERY,
          IMAGES,
          CHECKPOINT_EVERY,
          CHECKPOINT_KEEP,
          WORKER,
          THREADS);

  private Keys() {}

  private static <T> Key<T> vard(Key<T> key) {
    return key.onlyWith("algorithm.kind", AlgorithmSpec.Kind.VARD);
  }

  private static <T> Key<T> ddpo(Key<T> key) {
    return key.onlyWith("algorithm.kind", AlgorithmSpec.Kind.DDPO);
  }
}
