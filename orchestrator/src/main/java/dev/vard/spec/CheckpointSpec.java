package dev.vard.spec;

/**
 * Writing the whole state to disk, so that a run that was killed goes on from there.
 *
 * @param every iterations from one checkpoint to the next
 * @param keep newest ones that are kept: if one is damaged, the one before is used
 */
public record CheckpointSpec(int every, int keep) {}
