package dev.vard.spec;

import dev.vard.spec.SpecProblem.Code;
import dev.vard.spec.Tree.Scalar;
import dev.vard.spec.Tree.Scalar.Kind;
import dev.vard.spec.ValueType.Mismatch;
import java.math.BigDecimal;
import java.util.regex.Pattern;

/**
 * Numbers as people write them: those of YAML 1.2's core schema, as {@code .5}, {@code +3}, {@code
 * 0x1f} and {@code 1e6}. What other versions of YAML take for another number is refused with what
 * to write instead.
 */
final class Numbers {
  private static final Pattern LEADING_ZERO = Pattern.compile("[-+]?0\\d+");
  private static final Pattern GROUPED = Pattern.compile("[-+]?\\d[\\d_]*_[\\d_]*(\\.\\d*)?");
  private static final Pattern NUMBER =
      Pattern.compile("[-+]?(\\.\\d+|\\d+(\\.\\d*)?)([eE][-+]?\\d+)?");

  private Numbers() {}

  /** A whole number; {@code 1e6} is one, and 1.5 is none. */
  static long whole(Tree tree) throws Mismatch {
    Scalar scalar = number(tree);
    String text = scalar.text();
    try {
      if (text.startsWith("0o")) {
        return Long.parseLong(text.substring(2), 8);
      }
      if (text.startsWith("0x")) {
        return Long.parseLong(text.substring(2), 16);
      }
      return scalar.kind() == Kind.WHOLE
          ? Long.parseLong(text)
          : new BigDecimal(text).longValueExact();
    } catch (NumberFormatException e) {
      if (scalar.kind() == Kind.WHOLE) {
        throw new Mismatch(Code.OUT_OF_RANGE, text + " is out of range");
      }
      throw new Mismatch(Code.OUT_OF_RANGE, text + " is not finite");
    } catch (ArithmeticException e) {
      throw new Mismatch(Code.WRONG_TYPE, text + " is a number, but not a whole one in range");
    }
  }

  /** A finite number. */
  static double decimal(Tree tree) throws Mismatch {
    Scalar scalar = number(tree);
    if (scalar.text().startsWith("0o") || scalar.text().startsWith("0x")) {
      return whole(tree);
    }
    double value;
    try {
      value = Double.parseDouble(scalar.text());
    } catch (NumberFormatException e) { // .inf and .nan
      throw new Mismatch(Code.OUT_OF_RANGE, scalar.text() + " is not finite");
    }
    if (Double.isInfinite(value)) {
      throw new Mismatch(Code.OUT_OF_RANGE, scalar.text() + " is not finite");
    }
    return value;
  }

  /** A finite number that a worker, which computes with 32-bit floats, can hold. */
  static double single(Tree tree) throws Mismatch {
    double value = decimal(tree);
    if (Float.isInfinite((float) value)) {
      throw new Mismatch(
          Code.OUT_OF_RANGE, ((Scalar) tree).text() + " is beyond what a 32-bit float can hold");
    }
    if (value != 0 && (float) value == 0) {
      throw new Mismatch(
          Code.OUT_OF_RANGE, ((Scalar) tree).text() + " is nearer to 0 than a 32-bit float can be");
    }
    return value;
  }

  private static Scalar number(Tree tree) throws Mismatch {
    if (!(tree instanceof Scalar scalar)) {
      throw new Mismatch(Code.WRONG_TYPE, tree.describe());
    }
    String text = scalar.text();
    if (scalar.kind() == Kind.TEXT) {
      String cure =
          GROUPED.matcher(text).matches()
              ? ": write " + text.replace("_", "")
              : NUMBER.matcher(text).matches() ? ": leave the quotes away" : "";
      throw new Mismatch(Code.WRONG_TYPE, tree.describe() + cure);
    }
    if (scalar.kind() != Kind.WHOLE && scalar.kind() != Kind.DECIMAL) {
      throw new Mismatch(Code.WRONG_TYPE, tree.describe());
    }
    if (LEADING_ZERO.matcher(text).matches()) {
      throw new Mismatch(
          Code.WRONG_TYPE,
          text
              + " means other numbers in other versions of YAML: write "
              + new BigDecimal(text).toPlainString()
              + ", or quotes around it if it is text");
    }
    return scalar;
  }
}
