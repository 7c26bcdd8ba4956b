package dev.vard.algorithm;

/** A trajectory that the worker holds, with its reward. */
public record Scored(String id, int iteration, double reward) {}
