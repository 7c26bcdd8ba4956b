package dev.vard.run;

import dev.vard.reward.Answer;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a run writes down before it counts, so that whoever goes on with it, after a kill -9 too,
 * comes to the same end. Of one run, and of one generation of it: once a run was claimed again,
 * every method of the older journal that writes throws {@link FencedException}.
 *
 * <p>What a method wrote is durable when it returns. Several threads may call {@link #answered} at
 * once; everything else is called by one.
 *
 * @see MemoryJournal for runs that need not survive
 */
public interface RunJournal {

  /** Whether the run can be gone on with in another process. */
  boolean durable();

  /** How often the run was claimed, this time included; from 1. */
  long generation();

  /** The last state committed; empty for a run that did not begin. */
  Optional<RunState> state();

  /** The run's events as {@link RunJson} wrote them, in order. */
  List<String> events();

  /**
   * Steps forward: the state and the events that belong to it, all or nothing.
   *
   * @param state has the step after the last committed one, or the same with a result
   */
  void commit(RunState state, List<RunEvent> events);

  /** Events that belong to no step: a checkpoint, a recovery. */
  void tell(List<RunEvent> events);

  /** What became of a round's queries, by their index in the round. */
  Map<Integer, Answer> answers(Round round);

  /**
   * The score that an identical query got.
   *
   * @param digest as it was given with the answer
   */
  Optional<Double> known(String digest);

  /**
   * A query was answered: it must not be asked again.
   *
   * @param index in the round
   * @param digest finds the answer again for identical queries; empty if none are looked for
   */
  void answered(Round round, int index, Answer answer, String digest);

  /** The checkpoints that were not forgotten, newest first. */
  List<Checkpoint> checkpoints();

  /** A checkpoint's folder is in place. */
  void checkpointed(Checkpoint checkpoint, RunEvent.Checkpointed event);

  /** A checkpoint is no longer to be used; its folder is removed afterwards. */
  void forget(Checkpoint checkpoint);
}
