package dev.vard.algorithm;

/** A number that decides the future of a run became NaN or infinite. The message names it. */
public final class NotFiniteException extends ArithmeticException {
  private static final long serialVersionUID = 1L;

  public NotFiniteException(String message) {
    super(message);
  }

  /**
   * @param name as {@code the target of trajectory 3-1}
   */
  static double finite(double number, String name) {
    if (!Double.isFinite(number)) {
      throw new NotFiniteException(name + " became " + number);
    }
    return number;
  }
}
