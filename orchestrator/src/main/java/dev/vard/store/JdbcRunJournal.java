package dev.vard.store;

import dev.vard.algorithm.Progress;
import dev.vard.reward.Answer;
import dev.vard.run.Checkpoint;
import dev.vard.run.FencedException;
import dev.vard.run.Round;
import dev.vard.run.RunEvent;
import dev.vard.run.RunJournal;
import dev.vard.run.RunResult;
import dev.vard.run.RunState;
import dev.vard.run.RunStatus;
import dev.vard.statistics.Interval;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import java.util.function.Supplier;

/**
 * A claimed run's journal. Every write locks the run's row first: so it is in line with the others,
 * and sees whether the run is still its own. While the database is gone, its methods wait.
 */
final class JdbcRunJournal implements RunJournal {
  private final RunTables tables;
  private final Transactions transactions;
  private final Patience patience;
  private final StateJson stateJson = new StateJson();
  private final String runId;
  private final long generation;

  JdbcRunJournal(RunTables tables, Transactions transactions, Patience patience, RunRow claimed) {
    this.tables = tables;
    this.transactions = transactions;
    this.patience = patience;
    this.runId = claimed.id();
    this.generation = claimed.generation();
  }

  @Override
  public boolean durable() {
    return true;
  }

  @Override
  public long generation() {
    return generation;
  }

  @Override
  public Optional<RunState> state() {
    return read(() -> tables.states().findById(runId)).map(row -> stateJson.read(row.json()));
  }

  @Override
  public List<String> events() {
    return read(() -> tables.events().lines(runId));
  }

  @Override
  public void commit(RunState state, List<RunEvent> events) {
    StateRepository.StateRow row =
        new StateRepository.StateRow(
            runId, state.step(), state.result().isPresent(), stateJson.write(state));
    write(
        (run, again) -> {
          Optional<StateRepository.StateRow> stored = tables.states().findById(runId);
          if (again && stored.equals(Optional.of(row))) {
            return;
          }
          follows(stored, row);
          if (stored.isEmpty()) {
            tables.states().save(row);
          } else {
            tables.states().update(row);
          }
          tables.append(runId, run.lastSequence(), events);
          progressed(state);
        });
  }

  private void follows(Optional<StateRepository.StateRow> stored, StateRepository.StateRow row) {
    boolean next =
        stored
            .map(
                last ->
                    row.step() == last.step() + 1
                        || row.step() == last.step() && row.finished() && !last.finished())
            .orElse(row.step() == 0);
    if (!next) {
      throw new IllegalStateException(
          "run %s: step %d cannot follow step %s"
              .formatted(runId, row.step(), stored.map(last -> "" + last.step()).orElse("none")));
    }
  }

  private void progressed(RunState state) {
    Progress progress = state.algorithm().progress();
    tables
        .runs()
        .progressed(
            runId,
            progress.iterationsDone(),
            progress.rewardQueries(),
            state.first().map(RunEvent.Evaluated::reward).map(Interval::mean).orElse(null),
            state.last().map(RunEvent.Evaluated::reward).map(Interval::mean).orElse(null),
            state.last().map(RunEvent.Evaluated::klPerTrajectory).orElse(null),
            state.result().map(RunResult::exportSha256).orElse(""));
  }

  @Override
  public void tell(List<RunEvent> events) {
    Telling telling = new Telling(events);
    write(
        (run, again) -> {
          if (!telling.landed(run)) {
            telling.append(run);
          }
        });
  }

  @Override
  public Map<Integer, Answer> answers(Round round) {
    Map<Integer, Answer> answers = new TreeMap<>();
    for (AnswerRepository.AnswerRow row : read(() -> tables.answers().of(runId, round.key()))) {
      answers.put(row.key().idx(), row.answer());
    }
    return answers;
  }

  @Override
  public Optional<Double> known(String digest) {
    return read(() -> tables.answers().identical(runId, digest))
        .map(row -> ((Answer.Scored) row.answer()).score());
  }

  @Override
  public void answered(Round round, int index, Answer answer, String digest) {
    AnswerRepository.AnswerRow row =
        AnswerRepository.AnswerRow.of(
            new AnswerRepository.Key(runId, round.key(), index), answer, digest, generation);
    write(
        (run, again) -> {
          Optional<AnswerRepository.AnswerRow> stored = tables.answers().findById(row.key());
          if (again && stored.filter(row::same).isPresent()) {
            return;
          }
          if (stored.isPresent()) {
            throw new IllegalStateException(
                "run %s: query %d of %s was answered before, with %s; it must not be asked again"
                    .formatted(runId, index, round.key(), stored.get().answer()));
          }
          tables.answers().save(row);
        });
  }

  @Override
  public List<Checkpoint> checkpoints() {
    return read(() -> tables.checkpoints().of(runId)).stream()
        .map(row -> new Checkpoint(stateJson.read(row.state()), row.key().folder(), row.bytes()))
        .toList();
  }

  @Override
  public void checkpointed(Checkpoint checkpoint, RunEvent.Checkpointed event) {
    String state = stateJson.write(checkpoint.state());
    Telling telling = new Telling(List.of(event));
    write(
        (run, again) -> {
          if (telling.landed(run)) {
            return;
          }
          long sequence = telling.append(run);
          tables
              .checkpoints()
              .save(
                  new CheckpointRepository.CheckpointRow(
                      new CheckpointRepository.Key(runId, checkpoint.folder()),
                      sequence,
                      checkpoint.bytes(),
                      state));
        });
  }

  @Override
  public void forget(Checkpoint checkpoint) {
    write((run, again) -> tables.checkpoints().remove(runId, checkpoint.folder()));
  }

  private <T> T read(Supplier<T> work) {
    return patience.until(again -> transactions.read(work));
  }

  private void write(BiConsumer<RunRow, Boolean> work) {
    patience.until(
        again -> {
          transactions.write(() -> work.accept(ours(), again));
          return true;
        });
  }

  private RunRow ours() {
    RunRow run =
        tables
            .runs()
            .lock(runId)
            .orElseThrow(() -> new FencedException("run " + runId + " was deleted"));
    claimed(run, generation);
    if (run.status() != RunStatus.RUNNING) {
      throw new FencedException("run " + runId + " was let go: it is " + run.status());
    }
    return run;
  }

  /** Nobody else claimed the run since. */
  static void claimed(RunRow run, long generation) {
    if (run.generation() != generation) {
      throw new FencedException(
          "run %s was claimed again, by %s: generation %d, not %d"
              .formatted(run.id(), run.orchestrator(), run.generation(), generation));
    }
  }

  /** Events that are appended once, though the answer to an attempt may be lost. */
  private final class Telling {
    private final List<RunEvent> events;

    /** The run's last number after the last attempt, if that was committed. */
    private OptionalLong expected = OptionalLong.empty();

    Telling(List<RunEvent> events) {
      this.events = events;
    }

    /** Whether an earlier attempt was committed: nobody else tells of a run that is ours. */
    boolean landed(RunRow run) {
      return expected.equals(OptionalLong.of(run.lastSequence()));
    }

    long append(RunRow run) {
      expected = OptionalLong.of(run.lastSequence() + events.size());
      return tables.append(runId, run.lastSequence(), events);
    }
  }
}
