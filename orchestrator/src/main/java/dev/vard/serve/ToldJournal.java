package dev.vard.serve;

import dev.vard.reward.Answer;
import dev.vard.run.Checkpoint;
import dev.vard.run.Round;
import dev.vard.run.RunEvent;
import dev.vard.run.RunJournal;
import dev.vard.run.RunState;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A journal that says so once it has written something that watchers want to see. */
final class ToldJournal implements RunJournal {
  private final RunJournal journal;
  private final Runnable told;

  ToldJournal(RunJournal journal, Runnable told) {
    this.journal = journal;
    this.told = told;
  }

  @Override
  public boolean durable() {
    return journal.durable();
  }

  @Override
  public long generation() {
    return journal.generation();
  }

  @Override
  public Optional<RunState> state() {
    return journal.state();
  }

  @Override
  public List<String> events() {
    return journal.events();
  }

  @Override
  public void commit(RunState state, List<RunEvent> events) {
    journal.commit(state, events);
    if (!events.isEmpty()) {
      told.run();
    }
  }

  @Override
  public void tell(List<RunEvent> events) {
    journal.tell(events);
    told.run();
  }

  @Override
  public Map<Integer, Answer> answers(Round round) {
    return journal.answers(round);
  }

  @Override
  public Optional<Double> known(String digest) {
    return journal.known(digest);
  }

  @Override
  public void answered(Round round, int index, Answer answer, String digest) {
    journal.answered(round, index, answer, digest);
  }

  @Override
  public List<Checkpoint> checkpoints() {
    return journal.checkpoints();
  }

  @Override
  public void checkpointed(Checkpoint checkpoint, RunEvent.Checkpointed event) {
    journal.checkpointed(checkpoint, event);
    told.run();
  }

  @Override
  public void forget(Checkpoint checkpoint) {
    journal.forget(checkpoint);
  }
}
