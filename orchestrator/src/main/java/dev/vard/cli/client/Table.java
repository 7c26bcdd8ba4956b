package dev.vard.cli.client;

import dev.vard.text.Printable;
import java.text.BreakIterator;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Rows in columns as wide as their widest cell. The last column takes what is left of the width,
 * and goes on below itself. Control characters are left out: what others wrote must not steer this
 * terminal.
 */
final class Table {
  private static final String GAP = "  ";

  /** Where less than this is left for the last column, lines may become too long instead. */
  private static final int LEAST = 24;

  private final int width;
  private final List<List<String>> rows = new ArrayList<>();

  /**
   * @param width columns of the terminal
   */
  Table(int width) {
    this.width = width;
  }

  /** Adds a row; all have as many cells. */
  void add(String... cells) {
    rows.add(List.of(cells).stream().map(Printable::line).toList());
  }

  /** Lines that each end in a line feed. */
  String text() {
    StringBuilder text = new StringBuilder();
    int columns = rows.isEmpty() ? 0 : rows.getFirst().size();
    int[] widths = new int[columns];
    for (List<String> row : rows) {
      for (int i = 0; i < columns; i++) {
        widths[i] = Math.max(widths[i], row.get(i).length());
      }
    }
    int before = 0;
    for (int i = 0; i < columns - 1; i++) {
      before += widths[i] + GAP.length();
    }
    for (List<String> row : rows) {
      String lead = "";
      for (int i = 0; i < columns - 1; i++) {
        lead += row.get(i) + " ".repeat(widths[i] - row.get(i).length()) + GAP;
      }
      for (String line : wrap(row.getLast(), Math.max(LEAST, width - before))) {
        text.append((lead + line).stripTrailing()).append('\n');
        lead = " ".repeat(before);
      }
    }
    return text.toString();
  }

  /** Lines of at most so many characters, broken where a sentence may be. */
  private static List<String> wrap(String text, int width) {
    List<String> lines = new ArrayList<>();
    BreakIterator breaks = BreakIterator.getLineInstance(Locale.ROOT);
    breaks.setText(text);
    int start = 0;
    while (text.length() - start > width) {
      int limit = start + width;
      // The space that a line breaks at needs no room.
      int end =
          Character.isWhitespace(text.charAt(limit)) ? limit + 1 : breaks.preceding(limit + 1);
      if (end <= start) {
        end = limit;
      }
      lines.add(text.substring(start, end).stripTrailing());
      start = end;
    }
    lines.add(text.substring(start));
    return lines;
  }
}
