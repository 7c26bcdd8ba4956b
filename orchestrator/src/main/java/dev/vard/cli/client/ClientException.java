package dev.vard.cli.client;

import java.util.Objects;

/** Something on this side of the wire does not allow a command. The message is for people. */
final class ClientException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  ClientException(String message) {
    super(message);
  }

  ClientException(String message, Throwable cause) {
    super(message, cause);
  }

  /** Never null. */
  @Override
  public String getMessage() {
    return Objects.requireNonNull(super.getMessage());
  }
}
