package dev.vard.reward;

/**
 * One question to a reward.
 *
 * @param prompt empty for unconditional models
 * @param seed of the image's trajectory
 * @param runId the run that asks
 * @param iteration from 1; of an evaluation, the iterations done so far
 */
public record RewardQuery(Image image, String prompt, long seed, String runId, int iteration) {}
