package dev.vard.spec;

/** What several keys take. */
final class Forms {
  static final String STEPS = "[1, 100000]";

  /** What a worker takes: its checks.py refuses more, but only once queries are paid. */
  static final String BATCH = "[1, 4096]";

  static final String POSITIVE = "(0, ∞)";
  static final String SHARE = "(0, 1]";
  static final String NOT_NEGATIVE = "[0, ∞)";
  static final String ANY_NUMBER = "(-∞, ∞)";

  /** No control characters, and one that is no space. */
  static final String ANY = "[^\\x00-\\x1f\\x7f]*[^\\x00-\\x20\\x7f][^\\x00-\\x1f\\x7f]*";

  /** Of a run or a reward. */
  static final String NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,47}";

  static final String NAME_FORM = "at most 48 letters, digits, '.', '_' and '-'";

  static final String DEVICE = "auto|cpu|cuda(:\\d+)?";
  static final String DEVICE_FORM = "auto, cpu, cuda or cuda:N";

  /** Characters of a module's or a host's name. */
  static final int NAME_LENGTH = 512;

  private Forms() {}
}
