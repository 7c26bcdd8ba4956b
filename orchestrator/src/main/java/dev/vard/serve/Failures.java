package dev.vard.serve;

import dev.vard.serve.RequestException.Code;
import dev.vard.store.StoreException;

/** What a failure of the store means to whoever asked. */
final class Failures {
  private Failures() {}

  static RequestException of(StoreException e) {
    Code code =
        switch (e.kind()) {
          case NOT_FOUND -> Code.NOT_FOUND;
          case ILLEGAL_MOVE -> Code.FAILED_PRECONDITION;
          case CONFLICT -> Code.ALREADY_EXISTS;
          case UNAVAILABLE, UNUSABLE -> Code.UNAVAILABLE;
        };
    // What the database says may name hosts and paths: it is in the log, not in the answer.
    String message =
        code == Code.UNAVAILABLE
            ? "the database cannot be reached; try again in a while"
            : e.getMessage();
    String field = e.kind() == StoreException.Kind.CONFLICT ? "request_id" : "";
    return new RequestException(code, field, message, e);
  }
}
