package dev.vard.spec;

import dev.vard.spec.ValueType.Choice;
import dev.vard.spec.ValueType.Decimal;
import dev.vard.spec.ValueType.Text;
import dev.vard.spec.ValueType.Texts;
import dev.vard.spec.ValueType.Truth;
import dev.vard.spec.ValueType.Whole;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Every key of a specification. {@code docs/specification.md} is held to this list by a test. */
final class Keys {
  static final String DEFAULT_WORKER = "local";

  static final Key<String> NAME =
      Key.required("name", Forms.NAME, "Names the run; its id is the name and the time.");
  static final Key<Long> SEED =
      Key.of("seed", new Whole(0, Long.MAX_VALUE), 7L, "Every random number follows from it.");

  static final Key<String> CHECKPOINT =
      Key.required(
          "model.checkpoint",
          new Text(Forms.ANY.pattern(), "a folder in diffusers format or a hub id"),
          "The pretrained model, of a family that own-checkpoint.md lists.");
  static final Key<String> REVISION =
      Key.optional(
          "model.revision",
          new Text(Forms.ANY.pattern(), "a revision of the hub"),
          "the hub's default",
          "Branch, tag or commit of a hub id.");
  static final Key<String> DEVICE =
      Key.of(
          "model.device",
          Forms.DEVICE,
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
      Key.of(
          "model.adapter.alpha",
          Forms.POSITIVE,
          8.0,
          "The LoRA's output is scaled by alpha / rank.");
  static final Key<List<String>> TARGETS =
      Key.optional(
          "model.adapter.targets",
          new Texts("a list of module names", Forms.NAME_LENGTH, true),
          "the model family's own",
          "Ends of the names of the modules that get a LoRA, as PEFT takes them.");

  static final Key<String> PROMPTS_FILE =
      Key.optional(
          "prompts.file",
          new Text(Forms.ANY.pattern(), "a text file with a prompt a line"),
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

  static final Key<Long> EVERY =
      Key.of(
          "evaluate.every",
          Forms.STEPS,
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

  private static final List<Key<?>> BEFORE =
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
          TRAJECTORIES_DEVICE);

  private static final List<Key<?>> AFTER =
      List.of(EVERY, IMAGES, BUDGET, CHECKPOINT_EVERY, CHECKPOINT_KEEP, WORKER, THREADS);

  static final List<Key<?>> ALL =
      Stream.of(BEFORE, RewardKeys.ALL, AlgorithmKeys.ALL, AFTER)
          .<Key<?>>flatMap(List::stream)
          .toList();

  private Keys() {}
}
