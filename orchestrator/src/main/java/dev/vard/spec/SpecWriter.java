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
      put(Keys.REWARD_KIND, RewardSource.Kind.SUM);
      List<String> path = Keys.REWARD_PARTS.segments();
      section(root, path.getFirst())
          .put(path.getLast(), reward.parts().stream().map(SpecWriter::part).toList());
    } else {
      add(first);
    }
    put(Keys.REWARD_ON_FAILURE, reward.onFailure());
    put(Keys.REWARD_MOST_DROPPED, reward.mostDropped());
    put(Keys.REWARD_CACHE, reward.cache());
  }

  private static Map<String, Object> part(RewardSpec.Part part) {
    SpecWriter writer = new SpecWriter();
    writer.add(part);
    writer.put(Keys.REWARD_NORMALISE, part.normalise());
    return section(writer.root, Keys.REWARD_KIND.segments().getFirst());
  }

  private void add(RewardSpec.Part part) {
    put(Keys.REWARD_KIND, part.source().kind());
    put(Keys.REWARD_NAME, part.name());
    put(Keys.REWARD_WEIGHT, part.weight());
    switch (part.source()) {
      case RewardSource.JpegCompressibility(int quality) -> put(Keys.REWARD_QUALITY, quality);
      case RewardSource.JpegIncompressibility(int quality) -> put(Keys.REWARD_QUALITY, quality);
      case RewardSource.JavaClass java -> {
        put(Keys.REWARD_CLASS, java.className());
        putOptions(java.options());
      }
      case RewardSource.Python python -> {
        put(Keys.REWARD_FUNCTION, python.function());
        putOptions(python.options());
        put(Keys.REWARD_DEVICE, python.device());
      }
      case RewardSource.Onnx(Path model, RewardSource.Onnx.Input input, var output) -> {
        put(Keys.REWARD_MODEL, model.toString());
        input.size().ifPresent(size -> put(Keys.ONNX_SIZE, size));
        put(Keys.ONNX_LAYOUT, input.layout());
        put(Keys.ONNX_MEAN, input.mean());
        put(Keys.ONNX_DEVIATION, input.deviation());
        output.name().ifPresent(name -> put(Keys.ONNX_OUTPUT, name));
        put(Keys.ONNX_TAKE, output.take());
        output
            .className()
            .ifPresentOrElse(
                name -> put(Keys.ONNX_CLASS, name), () -> put(Keys.ONNX_INDEX, output.index()));
      }
      case RewardSource.Grpc grpc -> {
        put(Keys.REWARD_ENDPOINTS, grpc.endpoints());
        if (!grpc.reward().isEmpty()) {
          put(Keys.REWARD_SERVED, grpc.reward());
        }
        put(Keys.REWARD_TLS, grpc.access().tls());
        putAccess(grpc.access());
      }
      case RewardSource.Http http -> {
        put(Keys.REWARD_URL, http.url().toString());
        putAccess(http.access());
      }
      case RewardSource.Supplied supplied -> {}
    }
    AskingSpec asking = part.asking();
    asking.batch().ifPresent(images -> put(Keys.REWARD_BATCH, images));
    asking.concurrency().ifPresent(calls -> put(Keys.REWARD_CONCURRENCY, calls));
    put(Keys.REWARD_TIMEOUT, asking.timeout().toNanos() / 1e9);
    put(Keys.REWARD_RETRIES, asking.retries());
    asking.range().ifPresent(r -> put(Keys.REWARD_RANGE, List.of(r.least(), r.most())));
  }

  private void putOptions(Map<String, Object> options) {
    if (!options.isEmpty()) {
      put(Keys.REWARD_OPTIONS, options);
    }
  }

  private void putAccess(RewardSource.Access access) {
    access.ca().ifPresent(file -> put(Keys.REWARD_CA, file.toString()));
    access.tokenEnv().ifPresent(name -> put(Keys.REWARD_TOKEN, name));
  }

  private void add(AlgorithmSpec algorithm) {
    put(Keys.ALGORITHM_KIND, algorithm.kind());
    put(Keys.ITERATIONS, algorithm.iterations());
    put(Keys.SAMPLES, algorithm.samples());
    put(Keys.STALENESS, algorithm.staleness());
    switch (algorithm) {
      case VardSpec vard -> {
        ValueSpec value = vard.value();
        put(Keys.VALUE_KIND, value.kind());
        put(Keys.VALUE_INPUT, value.input());
        put(Keys.VALUE_PROMPT, value.prompt());
        value.width().ifPresent(width -> put(Keys.VALUE_WIDTH, width));
        put(Keys.WARMUP, value.warmup());
        put(Keys.VALUE_STEPS, value.steps());
        put(Keys.VALUE_BATCH, value.batch());
        put(Keys.VALUE_RATE, value.learningRate());
        put(Keys.REPLAY, value.replay());
        put(Keys.VALUE_NORM, value.maxGradientNorm());
        put(Keys.VALUE_AHEAD, value.ahead());
        value.microBatch().ifPresent(pairs -> put(Keys.VALUE_MICRO_BATCH, pairs));
      }
      case DdpoSpec ddpo -> {
        put(Keys.CLIP, ddpo.clip());
        put(Keys.ADVANTAGE_CLIP, ddpo.advantageClip());
      }
    }
    put(Keys.POLICY_STEPS, algorithm.policy().steps());
    put(Keys.POLICY_BATCH, algorithm.policy().batch());
    put(Keys.POLICY_RATE, algorithm.policy().learningRate());
    put(Keys.FINAL_RATE, algorithm.policy().finalRate());
    put(Keys.PHASE_RATE, algorithm.policy().phaseRate());
    put(Keys.POLICY_NORM, algorithm.policy().maxGradientNorm());
    algorithm.policy().microBatch().ifPresent(pairs -> put(Keys.POLICY_MICRO_BATCH, pairs));
    switch (algorithm.kl()) {
      case KlSpec.KlBudget(double budget, int probes) -> {
        put(Keys.KL_BUDGET, budget);
        put(Keys.KL_PROBES, probes);
      }
      case KlSpec.KlWeight(double weight) -> put(Keys.KL_WEIGHT, weight);
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
