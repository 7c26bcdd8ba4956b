package dev.vard.run;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.files.FileTrouble;
import dev.vard.files.PrivateFiles;
import dev.vard.reward.Answer;
import dev.vard.reward.RewardScorer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Writes down, in {@code rewards.jsonl}, when a round's queries were asked and answered: the bill
 * of a reward that costs money. The journal is what counts; this is for people and for audits. A
 * query that was asked more often than it was answered was under way when a process was killed.
 */
final class RewardLog implements RewardScorer.Ledger, AutoCloseable {
  private final RunJournal journal;
  private final Round round;
  private final Clock clock;
  private final FileChannel file;
  private final RunFolder folder;
  private final ObjectMapper json = new ObjectMapper();

  private RewardLog(
      RunFolder folder, RunJournal journal, Round round, Clock clock, FileChannel file) {
    this.folder = folder;
    this.journal = journal;
    this.round = round;
    this.clock = clock;
    this.file = file;
  }

  /**
   * @throws RunException STORAGE
   */
  static RewardLog open(RunFolder folder, RunJournal journal, Round round, Clock clock) {
    try {
      PrivateFiles.create(folder.rewards());
      FileChannel file = FileChannel.open(folder.rewards(), StandardOpenOption.APPEND);
      return new RewardLog(folder, journal, round, clock, file);
    } catch (IOException e) {
      throw RunException.storage(
          folder.rewards() + " cannot be written: " + FileTrouble.reason(e), e);
    }
  }

  @Override
  public void asked(int part, int index) {
    write("asked", part, index, Map.of());
  }

  @Override
  public void answered(int part, int index, Answer answer, String digest) {
    journal.answered(round.of(part), index, answer, digest.isEmpty() ? "" : key(part, digest));
    switch (answer) {
      case Answer.Scored(double score) -> write("answered", part, index, Map.of("score", score));
      case Answer.Dropped(String code) -> write("dropped", part, index, Map.of("code", code));
    }
  }

  @Override
  public Optional<Double> known(int part, String digest) {
    return journal.known(key(part, digest));
  }

  /** The parts of a reward give different scores to the same image. */
  private static String key(int part, String digest) {
    return part + ":" + digest;
  }

  /** One write a line: lines of several threads do not mix, and a kill leaves whole ones. */
  private void write(String event, int part, int index, Map<String, Object> more) {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("event", event);
    line.put("round", round.of(part).key());
    line.put("index", index);
    line.putAll(more);
    line.put("generation", journal.generation());
    line.put("time", Instant.now(clock).toString());
    try {
      byte[] bytes = (json.writeValueAsString(line) + "\n").getBytes(StandardCharsets.UTF_8);
      file.write(ByteBuffer.wrap(bytes));
    } catch (IOException e) {
      throw RunException.storage(
          folder.rewards() + " cannot be written: " + FileTrouble.reason(e), e);
    }
  }

  @Override
  public void close() {
    try {
      file.close();
    } catch (IOException e) {
      throw RunException.storage(
          folder.rewards() + " cannot be written: " + FileTrouble.reason(e), e);
    }
  }
}
