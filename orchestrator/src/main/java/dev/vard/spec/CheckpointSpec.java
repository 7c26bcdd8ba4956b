package dev.vard.spec;

/** Writing the whole state to disk, so that a run that was killed goes on from there. */
public record CheckpointSpec(
    @SpecKey(
            text =
                "Iterations from one checkpoint to the next. A run that was killed repeats what it"
                    + " did since the last one.",
            in = Forms.STEPS,
            byDefault = "1")
        int every,
    @SpecKey(
            text =
                "The newest checkpoints that are kept. If one is damaged, the one before is used.",
            in = "[1, 1000]",
            byDefault = "3")
        int keep) {}
