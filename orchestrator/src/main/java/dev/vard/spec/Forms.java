package dev.vard.spec;

import dev.vard.spec.ValueType.Decimal;
import dev.vard.spec.ValueType.Text;
import dev.vard.spec.ValueType.Whole;
import java.util.regex.Pattern;

/** What several keys take. */
final class Forms {
  static final Whole STEPS = new Whole(1, 100_000);

  /** What a worker takes: its checks.py refuses more, but only once queries are paid. */
  static final Whole BATCH = new Whole(1, 4096);

  static final Decimal POSITIVE = new Decimal(0, true, Double.MAX_VALUE);
  static final Decimal RATE = new Decimal(0, true, 1);
  static final Decimal NOT_NEGATIVE = new Decimal(0, false, Double.MAX_VALUE);
  static final Decimal ANY_NUMBER = new Decimal(-Double.MAX_VALUE, false, Double.MAX_VALUE);

  /**
   * No control characters, and one that is no space. Patterns mean in ECMA-262, by which a JSON
   * Schema's go, what they mean in Java.
   */
  static final Text ANY =
      new Text(
          Pattern.compile("[^\\x00-\\x1f\\x7f]*[^\\x00-\\x20\\x7f][^\\x00-\\x1f\\x7f]*"), "text");

  /** Of a run or a reward. */
  static final Text NAME =
      new Text(
          Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,47}"),
          "at most 48 letters, digits, '.', '_' and '-'");

  static final Text DEVICE =
      new Text(Pattern.compile("auto|cpu|cuda(:\\d+)?"), "auto, cpu, cuda or cuda:N");

  /** Characters of a module's or a host's name. */
  static final int NAME_LENGTH = 512;

  private Forms() {}
}
