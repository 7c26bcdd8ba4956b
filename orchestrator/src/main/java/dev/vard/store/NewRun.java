package dev.vard.store;

/**
 * A run to be put into the queue.
 *
 * @param requestId empty where the caller gave none
 * @param requestDigest of the whole request: the same id with another request is refused
 */
public record NewRun(
    String id,
    String name,
    String owner,
    String requestId,
    String requestDigest,
    String specification,
    int iterations,
    int priority) {}
