package dev.vard.run;

/**
 * A point that a run can go on from: the worker's session in a folder, and the run's state that
 * belongs to it.
 *
 * @param state of the run when the session was saved
 * @param folder relative to the run's folder, as {@code checkpoints/0004-000023}
 * @param bytes of its files
 */
public record Checkpoint(RunState state, String folder, long bytes) {}
