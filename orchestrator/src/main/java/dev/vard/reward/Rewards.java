package dev.vard.reward;

import dev.vard.spec.AskingSpec;
import dev.vard.spec.RewardSource;
import dev.vard.spec.RewardSpec;
import dev.vard.spec.RewardSpec.Normalise;
import dev.vard.spec.RewardSpec.OnFailure;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/** A run's rewards, ready to be asked. */
public final class Rewards implements AutoCloseable {

  /**
   * One of them.
   *
   * @param name unlike the others'
   */
  public record Part(
      String name, double weight, Normalise normalise, AskingSpec asking, Reward reward) {}

  private final RewardSpec spec;
  private final List<Part> parts;

  private Rewards(RewardSpec spec, List<Part> parts) {
    this.spec = spec;
    this.parts = List.copyOf(parts);
  }

  /**
   * Opens what a specification asks for: all of it or nothing.
   *
   * @param opener opens one of them
   * @throws RewardException the opener's
   */
  public static Rewards open(RewardSpec spec, Function<RewardSpec.Part, Reward> opener) {
    List<Part> parts = new ArrayList<>();
    try {
      for (RewardSpec.Part part : spec.parts()) {
        Reward reward = opener.apply(part);
        parts.add(new Part(part.name(), part.weight(), part.normalise(), part.asking(), reward));
      }
      return new Rewards(spec, parts);
    } catch (RuntimeException e) {
      parts.forEach(part -> part.reward().close());
      throw e;
    }
  }

  /** A reward that a program brings, whatever the specification says. */
  public static Rewards of(Reward reward) {
    RewardSource source = new RewardSource.Supplied();
    Part part = new Part(reward.name(), 1, Normalise.NONE, AskingSpec.of(source), reward);
    return new Rewards(RewardSpec.of(source), List.of(part));
  }

  /** In the order of the specification. */
  public List<Part> parts() {
    return parts;
  }

  /** Whether identical images with identical prompts are asked once. */
  public boolean cache() {
    return spec.cache();
  }

  public OnFailure onFailure() {
    return spec.onFailure();
  }

  /** How many of so many queries may be dropped. */
  int mostDropped(int queries) {
    return (int) (spec.mostDropped() * queries);
  }

  @Override
  public void close() {
    parts.forEach(part -> part.reward().close());
  }
}
