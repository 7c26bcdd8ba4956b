package dev.vard.spec;

import dev.vard.spec.AlgorithmSpec.DdpoSpec;
import dev.vard.spec.AlgorithmSpec.VardSpec;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.snakeyaml.engine.v2.api.Dump;
import org.snakeyaml.engine.v2.api.DumpSettings;
import org.snakeyaml.engine.v2.common.FlowStyle;

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
        DumpSettings.builder().setDefaultFlowStyle(FlowStyle.BLOCK).setWidth(120).build();
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
    put(Keys.ADAPTER_KIND, AdapterSpec.Kind.LORA);
    put(Keys.RANK, spec.model().adapter().rank());
    put(Keys.ALPHA, spec.model().adapter().alpha());
    put(Keys.TARGETS, spec.model().adapter().targets());
    if (!spec.prompts().isEmpty()) {
      put(Keys.PROMPTS_LIST, spec.prompts());
    }
    put(Keys.SAMPLER_KIND, spec.sampler().kind());
    put(Keys.SAMPLER_STEPS, spec.sampler().steps());
    put(Keys.GUIDANCE, spec.sampler().guidance());
    put(Keys.ETA, spec.sampler().eta());
    put(Keys.SAMPLER_BATCH, spec.sampler().batch());
    add(spec.reward());
    add(spec.algorithm());
    put(Keys.EVERY, spec.evaluate().every());
    put(Keys.IMAGES, spec.evaluate().images());
    put(Keys.CHECKPOINT_EVERY, spec.checkpoint().every());
    put(Keys.CHECKPOINT_KEEP, spec.checkpoint().keep());
    put(Keys.WORKER, spec.worker());
    if (spec.threads() != RunSpec.ANY_THREADS) {
      put(Keys.THREADS, spec.threads());
    }
  }

  private void add(RewardSpec reward) {
    switch (reward) {
      case RewardSpec.JpegCompressibility(int quality) -> {
        put(Keys.REWARD_KIND, RewardSpec.Kind.JPEG_COMPRESSIBILITY);
        put(Keys.REWARD_QUALITY, quality);
      }
      case RewardSpec.JpegIncompressibility(int quality) -> {
        put(Keys.REWARD_KIND, RewardSpec.Kind.JPEG_INCOMPRESSIBILITY);
        put(Keys.REWARD_QUALITY, quality);
      }
      case RewardSpec.Supplied() -> put(Keys.REWARD_KIND, RewardSpec.Kind.SUPPLIED);
    }
  }

  private void add(AlgorithmSpec algorithm) {
    put(Keys.ALGORITHM_KIND, algorithm.kind());
    put(Keys.ITERATIONS, algorithm.iterations());
    put(Keys.SAMPLES, algorithm.samples());
    switch (algorithm) {
      case VardSpec vard -> {
        ValueSpec value = vard.value();
        put(Keys.VALUE_KIND, value.kind());
        value.width().ifPresent(width -> put(Keys.VALUE_WIDTH, width));
        put(Keys.WARMUP, value.warmup());
        put(Keys.VALUE_STEPS, value.steps());
        put(Keys.VALUE_BATCH, value.batch());
        put(Keys.VALUE_RATE, value.learningRate());
        put(Keys.REPLAY, value.replay());
        put(Keys.VALUE_NORM, value.maxGradientNorm());
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
    put(Keys.POLICY_NORM, algorithm.policy().maxGradientNorm());
    switch (algorithm.kl()) {
      case KlSpec.KlBudget(double budget) -> put(Keys.KL_BUDGET, budget);
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
