package dev.vard.run;

import dev.vard.reward.Answer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/** Forgets all with the process: for runs that need not survive it. */
final class MemoryJournal implements RunJournal {
  private final RunJson json = new RunJson();
  private final List<String> events = new ArrayList<>();
  private final Map<Round, Map<Integer, Answer>> answers = new ConcurrentHashMap<>();
  private Optional<RunState> state = Optional.empty();

  @Override
  public boolean durable() {
    return false;
  }

  @Override
  public long generation() {
    return 1;
  }

  @Override
  public Optional<RunState> state() {
    return state;
  }

  @Override
  public List<String> events() {
    return List.copyOf(events);
  }

  @Override
  public void commit(RunState state, List<RunEvent> events) {
    this.state = Optional.of(state);
    tell(events);
  }

  @Override
  public void tell(List<RunEvent> events) {
    events.forEach(event -> this.events.add(json.write(event)));
  }

  @Override
  public Map<Integer, Answer> answers(Round round) {
    return answers.getOrDefault(round, Map.of());
  }

  @Override
  public Optional<Double> known(String digest) {
    return Optional.empty();
  }

  @Override
  public void answered(Round round, int index, Answer answer, String digest) {
    answers.computeIfAbsent(round, any -> new ConcurrentHashMap<>()).put(index, answer);
  }

  @Override
  public List<Checkpoint> checkpoints() {
    return List.of();
  }

  @Override
  public void checkpointed(Checkpoint checkpoint, RunEvent.Checkpointed event) {
    throw new UnsupportedOperationException("a journal in memory has no use for checkpoints");
  }

  @Override
  public void forget(Checkpoint checkpoint) {
    throw new UnsupportedOperationException("a journal in memory has no checkpoints");
  }
}
