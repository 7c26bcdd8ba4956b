package dev.vard.cli.client;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Scanner;

/** Asks a person. */
record Question(InputStream in, PrintStream out) {

  /** Whether the answer is yes; no answer is none. */
  boolean yes(String question) throws IOException {
    out.print(question + " [y/N] ");
    out.flush();
    Scanner answers = new Scanner(in, StandardCharsets.UTF_8);
    return answers.hasNextLine() && answers.nextLine().strip().matches("(?i)y|yes");
  }
}
