package dev.vard.spec;

import java.util.OptionalDouble;

/**
 * How trajectories are drawn, in training and in evaluation alike.
 *
 * @param steps denoising steps T
 * @param guidance classifier-free guidance scale; 1 is none
 * @param eta how much noise: of DDIM 0 deterministic, 1 as stochastic as DDPM; of flow matching 0
 *     is the ODE; empty for the chain's own
 * @param batch trajectories denoised together
 * @param trajectories how their states are kept
 */
public record SamplerSpec(
    Kind kind,
    int steps,
    double guidance,
    OptionalDouble eta,
    int batch,
    TrajectoriesSpec trajectories) {

  /** The stochastic sampler. */
  public enum Kind {
    /** The model family's own: DDIM, or for flow matching FLOW_SDE. */
    AUTO,
    DDIM,
    DDPM,
    FLOW_SDE,
    FLOW_CPS
  }

  /** Without noise, whatever the model is; where the chain is the model's own, only η tells. */
  public boolean noNoise() {
    return kind != Kind.DDPM && eta.isPresent() && eta.getAsDouble() == 0;
  }
}
