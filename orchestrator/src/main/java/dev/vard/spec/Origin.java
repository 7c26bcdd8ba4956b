package dev.vard.spec;

/**
 * Where a value was given.
 *
 * @param source the file as it was named, or the {@code --set} option
 * @param line from 1; 0 for none, as on a command line
 */
public record Origin(String source, int line) {

  Origin at(int line) {
    return new Origin(source, line);
  }

  @Override
  public String toString() {
    return line == 0 ? source : source + ":" + line;
  }
}
