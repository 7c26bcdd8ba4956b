package dev.vard.store;

import dev.vard.run.Round;
import dev.vard.run.RunJournal;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Writes to a database, and says after each write what it has written, until it is killed. A
 * program of its own: {@code KilledProgram FILE}.
 */
final class KilledProgram {
  private static final int SCORERS = 3;

  private KilledProgram() {}

  public static void main(String[] arguments) throws InterruptedException {
    PrintStream out = System.out;
    try (OpenStore open = OpenStore.open(Database.file(Path.of(arguments[0])).properties())) {
      RunStore store = open.store();
      if (store.find("a").isEmpty()) {
        store.create(Made.run("a", "alice", 0));
      }
      RunJournal journal = store.claim("a", "killed").orElseThrow().journal();
      out.println("claimed " + journal.generation());
      Round round = new Round(Round.Kind.COLLECT, (int) journal.generation());
      List<Thread> scorers =
          IntStream.range(0, SCORERS)
              .mapToObj(scorer -> Thread.ofPlatform().start(() -> score(journal, round, scorer)))
              .toList();
      for (long step = journal.state().map(state -> state.step() + 1).orElse(0L); ; step++) {
        journal.commit(Made.state(step), List.of(Made.event((int) step)));
        out.println("committed " + step);
        if (scorers.stream().noneMatch(Thread::isAlive)) {
          return;
        }
      }
    }
  }

  private static void score(RunJournal journal, Round round, int scorer) {
    for (int index = scorer; ; index += SCORERS) {
      journal.answered(round, index, Made.score(index), "");
      System.out.println("answered " + index);
    }
  }
}
