package dev.vard.algorithm;

import dev.vard.spec.AlgorithmSpec.DdpoSpec;
import dev.vard.spec.AlgorithmSpec.VardSpec;
import dev.vard.spec.RunSpec;
import java.util.List;

/**
 * A training algorithm. Both functions are pure: the same state and outcome give the same answer,
 * so a run can be stopped after any step and go on from its state.
 *
 * @param <S> an immutable value that decides everything to come
 */
public interface Algorithm<S extends AlgorithmState> {

  /** The class of its states. */
  Class<S> stateType();

  /** The state before anything was done. */
  S start();

  /** The trajectories that an iteration collects. */
  List<Trajectory> trajectories(int iteration);

  /** What to do now. */
  Action action(S state);

  /**
   * The state after the state's action was done.
   *
   * @throws IllegalArgumentException where the outcome is none of that action
   */
  S next(S state, Outcome outcome);

  /** The algorithm that a specification asks for. */
  static Algorithm<?> of(RunSpec spec) {
    Schedule schedule = new Schedule(spec);
    return switch (spec.algorithm()) {
      case VardSpec vard -> new Vard(vard, schedule);
      case DdpoSpec ddpo -> new Ddpo(ddpo, schedule);
    };
  }
}
