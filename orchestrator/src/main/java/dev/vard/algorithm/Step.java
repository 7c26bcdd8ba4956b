package dev.vard.algorithm;

/**
 * The steps of a run.
 *
 * <pre>
 *   EVALUATE ─▶ COLLECT ─▶ ASSESS ─▶ FIT ─▶ IMPROVE ─▶ RELEASE ─▶ EVALUATE ─▶ … ─▶ FINISH
 *                  │         (value-based only)  ▲                 (when due)
 *                  └─────────────────────────────┘
 * </pre>
 *
 * A warm-up iteration leaves out {@code IMPROVE}; {@code RELEASE} is left out where nothing is to
 * be forgotten.
 */
public enum Step {
  EVALUATE,
  COLLECT,
  ASSESS,
  FIT,
  IMPROVE,
  RELEASE,
  FINISH
}
