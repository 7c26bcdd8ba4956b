package dev.vard.spec;

/**
 * Looking at the model on held-out seeds: before training, and after the last iteration in any
 * case.
 */
public record EvaluateSpec(
    @SpecKey(
            text =
                "Iterations from one evaluation to the next. There is one before training and one"
                    + " after the last iteration in any case.",
            in = Forms.STEPS,
            byDefault = "4")
        int every,
    @SpecKey(
            text = "Images of each evaluation, on held-out seeds, the same every time.",
            in = "[2, 65536]",
            byDefault = "64")
        int images) {}
