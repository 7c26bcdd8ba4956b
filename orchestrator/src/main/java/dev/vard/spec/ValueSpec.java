package dev.vard.spec;

import java.util.OptionalInt;

/** The value network V(x_t, t, c) and how it is fitted. */
public record ValueSpec(
    @SpecKey(
            text =
                "The value network: small and convolutional on latents, or a head on the frozen"
                    + " encoder of the denoising network, for large models.",
            byDefault = "conv")
        Kind kind,
    @SpecKey(
            text =
                "What the value network sees: the state x_t, or beside it the look-ahead, what the"
                    + " pretrained model says of the clean picture from there. It costs a network"
                    + " pass for each state, and needs fewer queries.",
            byDefault = "state")
        Input input,
    @SpecKey(
            text =
                "Whether the value network is told the prompt. false serves a reward that is a"
                    + " matter of the picture alone: what a prompt says of it has no gradient in"
                    + " the picture.",
            byDefault = "true")
        boolean prompt,
    @SpecKey(
            text = "Channels of the value network's layers, a multiple of 8.",
            in = "[8, 1024]",
            without = "the network's own choice")
        OptionalInt width,
    @SpecKey(
            text =
                "First iterations that fit the value and leave the policy alone. Their rewards fix"
                    + " the reward's scale; with 0, the first iteration's do.",
            in = "[0, 100000]",
            byDefault = "2")
        int warmup,
    @SpecKey(text = "Gradient steps of each iteration's fit.", in = Forms.STEPS, byDefault = "40")
        int steps,
    @SpecKey(
            text = "(trajectory, t) pairs of each gradient step.",
            in = Forms.BATCH,
            byDefault = "128")
        int batch,
    @SpecKey(text = "Learning rate of the fit.", in = Forms.SHARE, byDefault = "1.0e-3")
        double learningRate,
    @SpecKey(
            text = "The last so many iterations' trajectories are kept and fitted.",
            in = Forms.STEPS,
            byDefault = "8")
        int replay,
    double maxGradientNorm,
    @SpecKey(
            text =
                "So many of the fit's steps are taken on earlier iterations' trajectories, while"
                    + " this one's scores are awaited.",
            in = "[0, 100000]",
            without = "half of the steps where a reward is grpc, http or python, else 0")
        int ahead,
    @SpecKey(
            text =
                "Pairs that go through the networks together; their gradients add up to the"
                    + " batch's.",
            in = Forms.BATCH,
            without = "the whole batch")
        OptionalInt microBatch)
    implements Descent {

  /** The network. */
  public enum Kind {
    /** Small and convolutional, on latents. */
    CONV,
    /** A head on the features of the pretrained denoising network's frozen encoder. */
    ENCODER
  }

  /** What the network sees. */
  public enum Input {
    /** The state x_t. */
    STATE,
    /** Beside it x̂_0(x_t), what the pretrained network says of the clean sample from there. */
    LOOKAHEAD
  }
}
