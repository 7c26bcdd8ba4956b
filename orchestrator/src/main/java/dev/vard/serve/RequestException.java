package dev.vard.serve;

import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A request that cannot be granted. The message says what was wrong, where, and what to do. */
public final class RequestException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Named after google.rpc.Code. */
  public enum Code {
    INVALID_ARGUMENT,
    /** Not there, or not this caller's to see. */
    NOT_FOUND,
    /** The request id was used for another request. */
    ALREADY_EXISTS,
    /** The run's state does not allow it. */
    FAILED_PRECONDITION,
    /** A limit. */
    RESOURCE_EXHAUSTED,
    /** A request that took too long to arrive or to be read. */
    DEADLINE_EXCEEDED,
    UNAUTHENTICATED,
    PERMISSION_DENIED,
    /** The database cannot be reached: the same may succeed later. */
    UNAVAILABLE
  }

  private final Code code;
  private final String field;

  /**
   * @param field of the request, as {@code page_size}; empty where none is to blame
   */
  public RequestException(Code code, String field, String message, @Nullable Throwable cause) {
    super(message, cause);
    this.code = code;
    this.field = field;
  }

  public RequestException(Code code, String field, String message) {
    this(code, field, message, null);
  }

  /** Never null. */
  @Override
  public String getMessage() {
    return Objects.requireNonNull(super.getMessage());
  }

  public Code code() {
    return code;
  }

  /** The field to blame. */
  public Optional<String> field() {
    return Optional.of(field).filter(name -> !name.isEmpty());
  }
}
