package dev.vard.spec;

import java.util.List;

/** The LoRA that is trained. */
public record AdapterSpec(
    @SpecKey(text = "What is trained.", byDefault = "lora") Kind kind,
    @SpecKey(text = "The LoRA's rank.", in = "[1, 1024]", byDefault = "8") int rank,
    @SpecKey(
            text = "The LoRA's output is scaled by alpha / rank.",
            in = Forms.POSITIVE,
            byDefault = "8.0")
        double alpha,
    @SpecKey(
            text = "Ends of the names of the modules that get a LoRA, as PEFT takes them.",
            form = "a list of module names",
            without = "the model family's own")
        List<String> targets) {

  public AdapterSpec(int rank, double alpha, List<String> targets) {
    this(Kind.LORA, rank, alpha, targets);
  }

  /** Kinds of adapter. */
  public enum Kind {
    LORA
  }

  public AdapterSpec {
    targets = List.copyOf(targets);
  }
}
