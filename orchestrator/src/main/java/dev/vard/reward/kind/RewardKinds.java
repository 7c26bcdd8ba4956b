package dev.vard.reward.kind;

import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.Rewards;
import dev.vard.spec.RewardSource;
import dev.vard.spec.RewardSpec;

/** Opens the rewards that a specification names. */
public final class RewardKinds {
  private final RewardEnvironment environment;

  public RewardKinds(RewardEnvironment environment) {
    this.environment = environment;
  }

  /**
   * @throws RewardException if one of them cannot be opened
   * @throws IllegalArgumentException for {@link RewardSource.Supplied}, which only a Java program
   *     can bring
   */
  public Rewards open(RewardSpec spec) {
    return Rewards.open(spec, this::open);
  }

  Reward open(RewardSpec.Part part) {
    return switch (part.source()) {
      case RewardSource.JpegCompressibility(int quality) -> {
        JpegSize size = new JpegSize(quality);
        yield Reward.of(part.name(), (image, prompt) -> -size.kilobytes(image));
      }
      case RewardSource.JpegIncompressibility(int quality) -> {
        JpegSize size = new JpegSize(quality);
        yield Reward.of(part.name(), (image, prompt) -> size.kilobytes(image));
      }
      case RewardSource.JavaClass source ->
          JavaReward.open(part.name(), source, part.asking(), environment);
      case RewardSource.Onnx source ->
          OnnxReward.open(part.name(), source, part.asking(), environment);
      case RewardSource.Grpc source ->
          GrpcReward.open(part.name(), source, part.asking(), environment);
      case RewardSource.Http source ->
          HttpReward.open(part.name(), source, part.asking(), environment);
      case RewardSource.Python source ->
          PythonReward.open(part.name(), source, part.asking(), environment);
      case RewardSource.Supplied source ->
          throw new IllegalArgumentException(
              "reward.kind is supplied: the Java program that starts the run has to bring the"
                  + " reward");
    };
  }
}
