package dev.vard.run;

import dev.vard.statistics.Interval;

/**
 * What a finished run came to: the object that {@code --json} prints.
 *
 * @param runId the run's id
 * @param iterations iterations done, warm-up included
 * @param rewardQueries images scored for training
 * @param evaluationQueries images scored for evaluation
 * @param rewardBefore mean reward of the evaluation images of the pretrained model
 * @param rewardAfter mean reward of the evaluation images, same prompts and seeds, of the final one
 * @param klPerTrajectory KL to the pretrained model in nats, mean over the last evaluation's
 *     trajectories
 * @param seconds where the time went, evaluations included
 * @param export folder that holds {@code pytorch_lora_weights.safetensors}
 * @param exportSha256 of that file, in hex: equal for runs that came to the same bits
 */
public record RunResult(
    String runId,
    int iterations,
    int rewardQueries,
    int evaluationQueries,
    Interval rewardBefore,
    Interval rewardAfter,
    double klPerTrajectory,
    PhaseSeconds seconds,
    String export,
    String exportSha256) {}
