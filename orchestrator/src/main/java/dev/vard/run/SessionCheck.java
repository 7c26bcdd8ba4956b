package dev.vard.run;

import dev.vard.proto.v1.SessionDescription;
import dev.vard.spec.AlgorithmSpec;
import dev.vard.spec.RunSpec;
import java.util.List;

/** Whether a session is one that its specification can be run with, before anything is paid. */
final class SessionCheck {
  private SessionCheck() {}

  /**
   * @throws RunException INVALID_ARGUMENT, NOT_FINITE or CHAIN_WITHOUT_NOISE
   */
  static void of(RunSpec spec, SessionDescription session) {
    if (session.getConditional() == spec.prompts().isEmpty()) {
      throw new RunException(
          "INVALID_ARGUMENT",
          session.getConditional()
              ? "the model takes prompts: give prompts.file or prompts.list"
              : "the model is unconditional: remove prompts");
    }
    List<Double> sigmas = session.getSigmasList();
    for (int i = 0; i < sigmas.size(); i++) {
      if (!Double.isFinite(sigmas.get(i))) {
        throw new RunException(
            "NOT_FINITE",
            "the noise of denoising step "
                + (i + 1)
                + " has the deviation "
                + sigmas.get(i)
                + ": look at the betas in the checkpoint's scheduler_config.json");
      }
    }
    if (spec.needsNoise() && sigmas.stream().allMatch(sigma -> sigma == 0)) {
      throw new RunException(
          "CHAIN_WITHOUT_NOISE",
          "no step of this checkpoint's chain has noise (sampler.steps: "
              + spec.sampler().steps()
              + "), and "
              + (spec.algorithm() instanceof AlgorithmSpec.DdpoSpec
                  ? "DDPO learns from noise alone"
                  : "the KL to the pretrained model is that of the noise")
              + ": give more for sampler.steps, and a sampler.eta above 0");
    }
  }
}
