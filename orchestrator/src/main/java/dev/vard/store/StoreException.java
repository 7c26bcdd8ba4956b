package dev.vard.store;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The database did not do what it was asked. */
public final class StoreException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Why. */
  public enum Kind {
    /** No such run. */
    NOT_FOUND,
    /** The run's status does not allow it. */
    ILLEGAL_MOVE,
    /** A request id that another request used; or a run's id that another run has. */
    CONFLICT,
    /** The database cannot be reached or is out of space: the same may succeed later. */
    UNAVAILABLE,
    /** The database cannot be used by this program, or not as configured. */
    UNUSABLE
  }

  private final Kind kind;

  public StoreException(Kind kind, String message, @Nullable Throwable cause) {
    super(message, cause);
    this.kind = kind;
  }

  public StoreException(Kind kind, String message) {
    this(kind, message, null);
  }

  /** Never null. */
  @Override
  public String getMessage() {
    return Objects.requireNonNull(super.getMessage());
  }

  public Kind kind() {
    return kind;
  }
}
