package dev.vard.spec;

import java.util.OptionalInt;

/**
 * The value network V(x_t, t, c) and how it is fitted.
 *
 * @param input what it sees
 * @param prompt whether it is told the prompt
 * @param width channels of its layers; empty for the network's own choice
 * @param warmup first iterations that fit the value and leave the policy alone
 * @param steps gradient steps of each iteration
 * @param batch (trajectory, t) pairs of each step
 * @param replay iterations whose trajectories are fitted
 * @param maxGradientNorm bound of the gradient's L2 norm; 0 for none
 * @param ahead of the steps, those that are taken on earlier iterations' trajectories while this
 *     one's scores are awaited
 * @param microBatch pairs that go through the network together; empty for the whole batch
 */
public record ValueSpec(
    Kind kind,
    Input input,
    boolean prompt,
    OptionalInt width,
    int warmup,
    int steps,
    int batch,
    double learningRate,
    int replay,
    double maxGradientNorm,
    int ahead,
    OptionalInt microBatch) {

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
