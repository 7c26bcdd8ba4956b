package dev.vard.files;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Text as editors of all systems leave it: UTF-8, perhaps with a byte order mark, its lines ended
 * by LF, CR LF or CR. What is read has no mark, and LF alone.
 */
public final class TextFile {
  private static final String BYTE_ORDER_MARK = "\uFEFF";

  private TextFile() {}

  /**
   * @throws java.nio.charset.CharacterCodingException if it is not UTF-8
   */
  public static String read(Path file) throws IOException {
    return plain(Files.readString(file));
  }

  /**
   * The lines, without their ends.
   *
   * @throws java.nio.charset.CharacterCodingException if it is not UTF-8
   */
  public static List<String> lines(Path file) throws IOException {
    return read(file).lines().toList();
  }

  /** Text that came by another way than a file. */
  public static String plain(String text) {
    String unmarked = text.startsWith(BYTE_ORDER_MARK) ? text.substring(1) : text;
    return unmarked.replace("\r\n", "\n").replace('\r', '\n');
  }
}
