package dev.vard.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.reward.Answer;
import dev.vard.run.Round;
import dev.vard.run.RunJournal;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** kill -9 of the process that H2 is in: all that it said it had written is there. */
class KillDurabilityTest {
  @TempDir private Path folder;

  private Path file() {
    return folder.resolve("runs");
  }

  private Process start() throws IOException {
    return new ProcessBuilder(
            ProcessHandle.current().info().command().orElseThrow(),
            "-XX:TieredStopAtLevel=1",
            "-cp",
            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
            KilledProgram.class.getName(),
            file().toString())
        .redirectError(folder.resolve("err").toFile())
        .start();
  }

  /** Kills it after so many lines; gives all that it said. */
  private List<String> linesUntilKilled(Process process, int lines) throws Exception {
    List<String> said = new ArrayList<>();
    try (BufferedReader out = process.inputReader()) {
      String line;
      while ((line = out.readLine()) != null) {
        said.add(line);
        if (said.size() == lines) {
          // Unlike the process's own, the handle's leaves the pipe open, for what is still in it.
          process.toHandle().destroyForcibly();
        }
      }
    }
    process.waitFor();
    assertThat(said.size())
        .as(Files.readString(folder.resolve("err")))
        .isGreaterThanOrEqualTo(lines);
    // Its last line may be torn.
    return said.subList(0, said.size() - 1);
  }

  @Test
  void shouldKeepAllThatWasWrittenBeforeAKill() throws Exception {
    List<String> first = linesUntilKilled(start(), 500);
    // This one finds the file as the kill left it.
    List<String> second = linesUntilKilled(start(), 50);

    try (OpenStore open = OpenStore.open(Database.file(file()).properties())) {
      RunStore store = open.store();
      RunJournal journal = store.claim("a", "test").orElseThrow().journal();
      assertKept(journal, first);
      assertKept(journal, second);
      List<StoredEvent> events = store.events("a", 0, 100_000);
      assertThat(events)
          .extracting(StoredEvent::sequence)
          .containsExactlyElementsOf(LongStream.rangeClosed(1, events.size()).boxed().toList());
    }
  }

  private static void assertKept(RunJournal journal, List<String> said) {
    long committed = journal.state().orElseThrow().step();
    Map<Integer, Answer> answers = Map.of();
    for (String line : said) {
      String[] words = line.split(" ");
      int number = Integer.parseInt(words[1]);
      switch (words[0]) {
        case "claimed" -> answers = journal.answers(new Round(Round.Kind.COLLECT, number));
        case "committed" -> assertThat((long) number).isLessThanOrEqualTo(committed);
        case "answered" -> assertThat(answers).containsEntry(number, Made.score(number));
        default -> throw new IllegalStateException(line);
      }
    }
  }

  @Test
  void shouldSayThatAnotherProcessHasTheDatabaseOpen() throws Exception {
    Process process = start();
    try (BufferedReader out = process.inputReader()) {
      assertThat(out.readLine()).isEqualTo("claimed 1");

      assertThatThrownBy(() -> OpenStore.open(Database.file(file()).properties()).close())
          .isInstanceOfSatisfying(
              StoreException.class,
              e -> assertThat(e.kind()).isEqualTo(StoreException.Kind.UNAVAILABLE))
          .hasMessageContaining("another process has the database open")
          .hasMessageContaining("stop that one first");
    } finally {
      process.destroyForcibly().waitFor();
    }
  }
}
