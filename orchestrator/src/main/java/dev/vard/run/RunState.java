package dev.vard.run;

import dev.vard.algorithm.AlgorithmState;
import java.util.Optional;

/**
 * All that decides how a run goes on, and what it has to tell at its end: what the engine persists
 * after each step. Written and read as JSON.
 *
 * @param step actions done so far
 * @param algorithm the algorithm's own state
 * @param first the first evaluation
 * @param last the last evaluation
 * @param iteration what is known of the iteration in hand
 * @param seconds where the time went so far; time in which nothing ran does not count
 * @param result of a run that has reached its end
 */
public record RunState(
    long step,
    AlgorithmState algorithm,
    Optional<RunEvent.Evaluated> first,
    Optional<RunEvent.Evaluated> last,
    IterationMetrics iteration,
    PhaseSeconds seconds,
    Optional<RunResult> result) {

  static RunState start(AlgorithmState algorithm) {
    return new RunState(
        0,
        algorithm,
        Optional.empty(),
        Optional.empty(),
        IterationMetrics.NONE,
        PhaseSeconds.NONE,
        Optional.empty());
  }
}
