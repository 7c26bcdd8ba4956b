package dev.vard.spec;

import dev.vard.spec.AlgorithmSpec.DdpoSpec;
import dev.vard.spec.AlgorithmSpec.VardSpec;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.snakeyaml.engine.v2.api.Dump;
import org.snakeyaml.engine.v2.api.DumpSettings;
import org.snakeyaml.engine.v2.common.FlowStyle;
import org.snakeyaml.engine.v2.schema.CoreSchema;

/**
 * Writes a specification out in full, with every default named: reading it gives the same
 * specification.
 */
public final class SpecWriter {
  private final Map<String, Object> root = new LinkedHashMap<>();

  private SpecWriter() {}

  /** YAML. */
  public static String write(RunSpec spec) {
    SpecWriter writer = new SpecWriter();
    writer.add(spec);
    DumpSettings settings =
        DumpSettings.builder()
            .setDefaultFlowStyle(FlowStyle.BLOCK)
            .setWidth(120)
            .setSchema(new CoreSchema())
            .build();
    return new Dump(settings).dumpToString(writer.root);
  }

  private void add(RunSpec spec) {
    put(Keys.NAME, spec.name());
    put(Keys.SEED, spec.seed());
    put(Keys.CHECKPOINT, spec.model().checkpoint());
    if (!spec.model().revision().isEmpty()) {
      put(Keys.REVISION, spec.model().revision());
    }
    put(Keys.DEVICE, spec.model().device());
    put(Keys.DTYPE, spec.model().dtype());
    spec.model().height().ifPresent(pixels -> put(Keys.HEIGHT, pixels));
    spec.model().width().ifPresent(pixels -> put(Keys.WIDTH, pixels));
    put(Keys.GRADIENT_CHECKPOINTING, spec.model().gradientCheckpointing());
    put(Keys.OFFLOAD, spec.model().offload());
    put(Keys.ADAPTER_KIND, AdapterSpec.Kind.LORA);
    put(Keys.RANK, spec.model().adapter().rank());
    put(Keys.ALPHA, spec.model().adapter().alpha());
    if (!spec.model().adapter().targets().isEmpty()) {
      put(Keys.TARGETS, spec.model().adapter().targets());
    }
    if (!spec.prompts().isEmpty()) {
      put(Keys.PROMPTS_LIST, spec.prompts());
    }
    put(Keys.SAMPLER_KIND, spec.sampler().kind());
    put(Keys.SAMPLER_STEPS, spec.sampler().steps());
    put(Keys.GUIDANCE, spec.sampler().guidance());
    spec.sampler().eta().ifPresent(eta -> put(Keys.ETA, eta));
    put(Keys.SAMPLER_BATCH, spec.sampler().batch());
    put(Keys.TRAJECTORIES_DTYPE, spec.sampler().trajectories().dtype());
    put(Keys.TRAJECTORIES_DEVICE, spec.sampler().trajectories().device());
    add(spec.reward());
    add(spec.algorithm());
    put(Keys.EVERY, spec.evaluate().every());
    put(Keys.IMAGES, spec.evaluate().images());
    spec.budget().ifPresent(queries -> put(Keys.BUDGET, queries));
    put(Keys.CHECKPOINT_EVERY, spec.checkpoint().every());
    put(Keys.CHECKPOINT_KEEP, spec.checkpoint().keep());
    put(Keys.WORKER, spec.worker());
    if (spec.threads() != RunSpec.ANY_THREADS) {
      put(Keys.THREADS, spec.threads());
    }
  }

  private void add(RewardSpec reward) {
    RewardSpec.Part first = reward.parts().getFirst();
    if (reward.isSum()) {
      put(RewardKeys.REWARD_KIND, RewardSource.Kind.SUM);
      List<String> path = RewardKeys.REWARD_PARTS.segments();
      section(root, path.getFirst())
          .put(path.getLast(), reward.parts().stream().map(SpecWriter::part).toList());
    } else {
      add(first);
    }
    put(RewardKeys.REWARD_ON_FAILURE, reward.onFailure());
    put(RewardKeys.REWARD_MOST_DROPPED, reward.mostDropped());
    put(RewardKeys.REWARD_CACHE, reward.cache());
  }

  private static Map<String, Object> part(RewardSpec.Part part) {
    SpecWriter writer = new SpecWriter();
    writer.add(part);
    writer.put(RewardKeys.REWARD_NORMALISE, part.normalise());
    return section(writer.root, RewardKeys.REWARD_KIND.segments().getFirst());
  }

  private void add(RewardSpec.Part part) {
    put(RewardKeys.REWARD_KIND, part.source().kind());
    put(RewardKeys.REWARD_NAME, part.name());
    put(RewardKeys.REWARD_WEIGHT, part.weight());
    switch (part.source()) {
      case RewardSource.JpegCompressibility(int quality) -> put(RewardKeys.REWARD_QUALITY, quality);
      case RewardSource.JpegIncompressibility(int quality) ->
          put(RewardKeys.REWARD_QUALITY, quality);
      case RewardSource.JavaClass java -> {
        put(RewardKeys.REWARD_CLASS, java.className());
        putOptions(java.options());
      }
      case RewardSource.Python python -> {
        put(RewardKeys.REWARD_FUNCTION, python.function());
        putOptions(python.options());
        put(RewardKeys.REWARD_DEVICE, python.device());
      }
      case RewardSource.Onnx(Path model, RewardSource.Onnx.Input input, var output) -> {
        put(RewardKeys.REWARD_MODEL, model.toString());
        input.size().ifPresent(size -> put(RewardKeys.ONNX_SIZE, size));
        put(RewardKeys.ONNX_LAYOUT, input.layout());
        put(RewardKeys.ONNX_MEAN, input.mean());
        put(RewardKeys.ONNX_DEVIATION, input.deviation());
        output.name().ifPresent(name -> put(RewardKeys.ONNX_OUTPUT, name));
        put(RewardKeys.ONNX_TAKE, output.take());
        output
            .className()
            .ifPresentOrElse(
                name -> put(RewardKeys.ONNX_CLASS, name),
                () -> put(RewardKeys.ONNX_INDEX, output.index()));
      }
      case RewardSource.Grpc grpc -> {
        put(RewardKeys.REWARD_ENDPOINTS, grpc.endpoints());
        if (!grpc.reward().isEmpty()) {
          put(RewardKeys.REWARD_SERVED, grpc.reward());
        }
        put(RewardKeys.REWARD_TLS, grpc.access().tls());
        putAccess(grpc.access());
      }
      case RewardSource.Http http -> {
        put(RewardKeys.REWARD_URL, http.url().toString());
        putAccess(http.access());
      }
      case RewardSource.Supplied supplied -> {}
    }
    AskingSpec asking = part.asking();
    asking.batch().ifPresent(images -> put(RewardKeys.REWARD_BATCH, images));
    asking.concurrency().ifPresent(calls -> put(RewardKeys.REWARD_CONCURRENCY, calls));
    put(RewardKeys.REWARD_TIMEOUT, asking.timeout().toNanos() / 1e9);
    put(RewardKeys.REWARD_RETRIES, asking.retries());
    asking.range().ifPresent(r -> put(RewardKeys.REWARD_RANGE, List.of(r.least(), r.most())));
  }

  private void putOptions(Map<String, Object> options) {
    if (!options.isEmpty()) {
      put(RewardKeys.REWARD_OPTIONS, options);
    }
  }

  private void putAccess(RewardSource.Access access) {
    access.ca().ifPresent(file -> put(RewardKeys.REWARD_CA, file.toString()));
    access.tokenEnv().ifPresent(name -> put(RewardKeys.REWARD_TOKEN, name));
  }

  private void add(AlgorithmSpec algorithm) {
    put(AlgorithmKeys.ALGORITHM_KIND, algorithm.kind());
    put(AlgorithmKeys.ITERATIONS, algorithm.iterations());
    put(AlgorithmKeys.SAMPLES, algorithm.samples());
    put(AlgorithmKeys.STALENESS, algorithm.staleness());
    switch (algorithm) {
      case VardSpec vard -> {
        ValueSpec value = vard.value();
        put(AlgorithmKeys.VALUE_KIND, value.kind());
        put(AlgorithmKeys.VALUE_INPUT, value.input());
        put(AlgorithmKeys.VALUE_PROMPT, value.prompt());
        value.width().ifPresent(width -> put(AlgorithmKeys.VALUE_WIDTH, width));
        put(AlgorithmKeys.WARMUP, value.warmup());
        put(AlgorithmKeys.VALUE_STEPS, value.steps());
        put(AlgorithmKeys.VALUE_BATCH, value.batch());
        put(AlgorithmKeys.VALUE_RATE, value.learningRate());
        put(AlgorithmKeys.REPLAY, value.replay());
        put(AlgorithmKeys.VALUE_NORM, value.maxGradientNorm());
        put(AlgorithmKeys.VALUE_AHEAD, value.ahead());
        value.microBatch().ifPresent(pairs -> put(AlgorithmKeys.VALUE_MICRO_BATCH, pairs));
      }
      case DdpoSpec ddpo -> {
        put(AlgorithmKeys.CLIP, ddpo.clip());
        put(AlgorithmKeys.ADVANTAGE_CLIP, ddpo.advantageClip());
      }
    }
    put(AlgorithmKeys.POLICY_STEPS, algorithm.policy().steps());
    put(AlgorithmKeys.POLICY_BATCH, algorithm.policy().batch());
    put(AlgorithmKeys.POLICY_RATE, algorithm.policy().learningRate());
    put(AlgorithmKeys.FINAL_RATE, algorithm.policy().finalRate());
    put(AlgorithmKeys.PHASE_RATE, algorithm.policy().phaseRate());
    put(AlgorithmKeys.POLICY_NORM, algorithm.policy().maxGradientNorm());
    algorithm
        .policy()
        .microBatch()
        .ifPresent(pairs -> put(AlgorithmKeys.POLICY_MICRO_BATCH, pairs));
    switch (algorithm.kl()) {
      case KlSpec.KlBudget(double budget, int probes) -> {
        put(AlgorithmKeys.KL_BUDGET, budget);
        put(AlgorithmKeys.KL_PROBES, probes);
      }
      case KlSpec.KlWeight(double weight) -> put(AlgorithmKeys.KL_WEIGHT, weight);
    }
  }

  private void put(Key<Long> key, int value) {
    put(key, (long) value);
  }

  private <T> void put(Key<T> key, T value) {
    List<String> path = key.segments();
    Map<String, Object> section = root;
    for (String name : path.subList(0, path.size() - 1)) {
      section = section(section, name);
    }
    section.put(path.getLast(), key.type().write(value));
  }

  /** Safe: only this method puts maps. */
  @SuppressWarnings("unchecked")
  private static Map<String, Object> section(Map<String, Object> parent, String name) {
    return (Map<String, Object>)
        parent.computeIfAbsent(name, key -> new LinkedHashMap<String, Object>());
  }
}
