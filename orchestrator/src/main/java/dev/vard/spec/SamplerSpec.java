package dev.vard.spec;

import java.util.OptionalDouble;

/** How trajectories are drawn, in training and in evaluation alike. */
public record SamplerSpec(
    @SpecKey(
            text =
                "The stochastic sampler, whatever scheduler the checkpoint was saved with; `auto`"
                    + " is the model family's own: ddim, or for flow matching flow-sde.",
            byDefault = "auto")
        Kind kind,
    @SpecKey(text = "Denoising steps T.", in = "[1, 1000]", byDefault = "20") int steps,
    @SpecKey(
            text = "Classifier-free guidance scale, in training and sampling alike; 1 is none.",
            in = "[1, 100]",
            without = SamplerSpec.DEFAULT_GUIDANCE + "; without prompts 1.0")
        double guidance,
    @SpecKey(
            text =
                "DDIM's η: 0 deterministic, 1 as stochastic as DDPM; of flow-sde and flow-cps how"
                    + " much noise a step draws, 0 for the ODE. At most 1, of flow-sde 1.5. DDPO,"
                    + " and a budget or weight of the KL, need noise: they refuse 0. DDPM ignores"
                    + " it.",
            in = "[0, 1.5]",
            without = "1.0; for flow matching 0.7")
        OptionalDouble eta,
    @SpecKey(text = "Trajectories denoised together.", in = Forms.BATCH, byDefault = "16")
        int batch,
    @SpecSection("trajectories") TrajectoriesSpec trajectories) {

  static final double DEFAULT_GUIDANCE = 3.0;

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
