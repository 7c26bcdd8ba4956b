package dev.vard.spec;

import java.util.List;

/**
 * The LoRA that is trained.
 *
 * @param alpha its output is scaled by alpha / rank
 * @param targets ends of module names, as PEFT takes them; empty for the model family's own
 */
public record AdapterSpec(int rank, double alpha, List<String> targets) {

  /** Kinds of adapter. */
  public enum Kind {
    LORA
  }

  public AdapterSpec {
    targets = List.copyOf(targets);
  }
}
