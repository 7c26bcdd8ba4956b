package dev.vard.spec;

/**
 * How trajectories are drawn, in training and in evaluation alike.
 *
 * @param steps denoising steps T
 * @param guidance classifier-free guidance scale; 1 is none
 * @param eta DDIM's η: 0 deterministic, 1 as stochastic as DDPM
 * @param batch trajectories denoised together
 */
public record SamplerSpec(Kind kind, int steps, double guidance, double eta, int batch) {

  /** The stochastic sampler. */
  public enum Kind {
    DDIM,
    DDPM
  }
}
