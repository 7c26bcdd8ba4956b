package dev.vard.algorithm;

/**
 * The steps of a run.
 *
 * <pre>
 *   EVALUATE ─▶ COLLECT ─▶ AHEAD ─▶ SCORE ─▶ ASSESS ─▶ FIT ─▶ IMPROVE ─▶ RELEASE ─▶ EVALUATE ─▶ … ─▶ FINISH
 *                                     │   (value-based only)   ▲                  (when due)
 *                                     └────────────────────────┘
 * </pre>
 *
 * A warm-up iteration leaves out {@code IMPROVE}; {@code AHEAD}, a part of the fit that needs none
 * of the scores that are awaited, and {@code RELEASE} are left out where there is nothing to fit or
 * to be forgotten. The first iterations of a run that takes rewards late only collect.
 */
public enum Step {
  EVALUATE,
  COLLECT,
  AHEAD,
  SCORE,
  ASSESS,
  FIT,
  IMPROVE,
  RELEASE,
  FINISH
}
