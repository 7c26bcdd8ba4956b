package dev.vard.run;

import java.util.EnumSet;
import java.util.Set;

/**
 * Where a run stands. The legal moves, stated once:
 *
 * <pre>
 *              ┌──────────────── drained ───────────────┐
 *              ▼                                        │
 *  create ▶ WAITING ──── claimed ─────────────────▶ RUNNING ──── end reached ──▶ DONE
 *            ▲ ▲ ▲ │                                 │ │ │
 *            │ │ │ └─ cancel ─▶ CANCELLED ◀─ cancel ─┘ │ └───── cannot go on ──▶ FAILED
 *            │ │ │                │  ▲                 │                            │
 *            │ │ └──── resume ────┘  └─ cancel ─┐      │                            │
 *            │ └─ mended, resume ─────────── PAUSED ◀──┘ something is to be mended  │
 *            └──────────────────────────── resume ──────────────────────────────────┘
 * </pre>
 *
 * A run whose orchestrator died is RUNNING until another one claims it, and RUNNING again then.
 */
public enum RunStatus {
  /** In the queue. */
  WAITING,
  /** On a worker. */
  RUNNING,
  /** Waits for something to be mended, by time or by a person; a reason says what. */
  PAUSED,
  /** Somebody stopped it. */
  CANCELLED,
  /** Cannot go on as it is; a reason says why. */
  FAILED,
  /** Reached its end. */
  DONE;

  /** Where a run may go from here. */
  public Set<RunStatus> next() {
    return switch (this) {
      case WAITING -> EnumSet.of(RUNNING, CANCELLED);
      case RUNNING -> EnumSet.of(RUNNING, WAITING, PAUSED, CANCELLED, FAILED, DONE);
      case PAUSED -> EnumSet.of(WAITING, CANCELLED);
      case CANCELLED, FAILED -> EnumSet.of(WAITING);
      case DONE -> EnumSet.noneOf(RunStatus.class);
    };
  }

  /** Whether nothing more happens to it unless somebody asks. */
  public boolean ended() {
    return this == CANCELLED || this == FAILED || this == DONE;
  }
}
