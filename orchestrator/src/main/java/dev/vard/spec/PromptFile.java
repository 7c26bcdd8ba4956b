package dev.vard.spec;

import dev.vard.files.TextFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A text file with a prompt a line; blank lines and lines that begin with # do not count. */
final class PromptFile {
  /** Characters of a prompt that a worker takes; its text encoder reads some 77 tokens. */
  static final int LONGEST = 10_000;

  private PromptFile() {}

  /**
   * A prompt.
   *
   * @param line from 1
   */
  record Line(int line, String prompt) {}

  /**
   * @throws IOException if it cannot be read, or is not UTF-8
   */
  static List<Line> read(Path file) throws IOException {
    List<String> lines = TextFile.lines(file);
    List<Line> prompts = new ArrayList<>();
    for (int i = 0; i < lines.size(); i++) {
      String prompt = lines.get(i).strip();
      if (!prompt.isEmpty() && !prompt.startsWith("#")) {
        prompts.add(new Line(i + 1, prompt));
      }
    }
    return prompts;
  }

  /** As Python counts: a letter outside the basic plane is one. */
  static int length(String prompt) {
    return prompt.codePointCount(0, prompt.length());
  }
}
