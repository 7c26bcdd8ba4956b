package dev.vard.store;

import java.time.Instant;

/**
 * An event of a run.
 *
 * @param sequence from 1, without gaps
 * @param json as {@link dev.vard.run.RunJson} wrote it
 */
public record StoredEvent(String runId, long sequence, Instant time, String json) {}
