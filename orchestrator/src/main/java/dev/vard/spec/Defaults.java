package dev.vard.spec;

import dev.vard.spec.RewardSpec.Normalise;
import dev.vard.spec.RewardSpec.Part;
import dev.vard.spec.ValueType.Choice;
import java.util.List;

/** What holds for keys that were not given, where that depends on others. */
final class Defaults {
  private Defaults() {}

  /** For a specification that is as it should be. */
  static void put(Given given, boolean prompts, List<Part> parts, int processors) {
    given.putIfAbsent(CrossChecks.GUIDANCE, prompts ? SamplerSpec.DEFAULT_GUIDANCE : 1.0);
    if (given.find(CrossChecks.KL_WEIGHT).isEmpty()) {
      given.putIfAbsent(CrossChecks.KL_BUDGET, KlSpec.KlBudget.DEFAULT);
    }
    boolean remote = parts.stream().anyMatch(part -> part.source().remote());
    long steps = given.find(CrossChecks.VALUE_STEPS).orElse(0L);
    given.putIfAbsent(CrossChecks.VALUE_AHEAD, remote ? steps / 2 : 0L);
    given.putIfAbsent(Keys.at("threads"), (long) processors);
  }

  /** For a reward, or a part of a sum. */
  static void putReward(Given given, RewardSource source) {
    given.putIfAbsent(Keys.at("reward.name"), Choice.name(source.kind()));
    given.putIfAbsent(RewardReading.NORMALISE, given.isPart() ? Normalise.FIXED : Normalise.NONE);
    AskingSpec usual = AskingSpec.of(source);
    usual.batch().ifPresent(images -> given.putIfAbsent(Keys.at("reward.batch"), (long) images));
    usual
        .concurrency()
        .ifPresent(calls -> given.putIfAbsent(Keys.at("reward.concurrency"), (long) calls));
    given.putIfAbsent(Keys.at("reward.retries"), (long) usual.retries());
  }
}
