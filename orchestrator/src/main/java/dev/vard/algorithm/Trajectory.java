package dev.vard.algorithm;

/**
 * A trajectory to draw.
 *
 * @param id names it on the worker
 * @param prompt empty for unconditional models
 * @param seed of its own generator
 */
public record Trajectory(String id, String prompt, long seed) {}
