package dev.vard.run;

import dev.vard.reward.Rewards;
import dev.vard.reward.kind.RewardEnvironment;
import dev.vard.reward.kind.RewardKinds;
import dev.vard.spec.RunSpec;
import java.nio.file.Path;

/** The rewards that a test's specification names. */
final class TestRewards {
  private TestRewards() {}

  static Rewards open(RunSpec spec) {
    return new RewardKinds(RewardEnvironment.of(Path.of("target/reward.log"))).open(spec.reward());
  }
}
