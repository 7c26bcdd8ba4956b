package dev.vard.text;

import java.util.Arrays;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** A command in a message, for a person to copy into a POSIX shell. */
public final class ShellCommand {
  /** What no shell takes for anything but itself, wherever it stands in a word. */
  private static final Pattern PLAIN = Pattern.compile("[\\p{L}\\p{N}_./:,@%+-]+");

  /** How the user called the launcher, which sets it. */
  private static final String LAUNCHER = "VARD_LAUNCHER";

  private ShellCommand() {}

  /**
   * A call of vard, as {@code ./vard run --resume 'my runs/cats'}.
   *
   * @param words each becomes one word of the command
   */
  public static String vard(Object... words) {
    String launcher = Optional.ofNullable(System.getenv(LAUNCHER)).orElse("vard");
    return Stream.concat(Stream.of(launcher), Arrays.stream(words))
        .map(ShellCommand::word)
        .collect(Collectors.joining(" "));
  }

  /** In single quotes where a shell would not take it as it is. */
  public static String word(Object value) {
    String text = value.toString();
    return PLAIN.matcher(text).matches() ? text : "'" + text.replace("'", "'\\''") + "'";
  }
}
