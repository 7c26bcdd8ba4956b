package dev.vard.store;

import dev.vard.run.RunStatus;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * Which runs to list, the newest first.
 *
 * @param owner only this owner's
 * @param terms all must hold
 * @param after only what comes after this run in the list
 * @param limit at most so many
 */
public record RunQuery(Optional<String> owner, List<Term> terms, Optional<Place> after, int limit) {

  /** A run's place in the list: by time of creation, then by id. */
  public record Place(Instant createdAt, String id) {}

  /** Something that must hold of a run. */
  public sealed interface Term {}

  /** A text field; a {@code *} at an end of the value stands for anything. */
  public record TextTerm(TextField field, boolean equal, String value) implements Term {}

  public record StatusTerm(boolean equal, RunStatus value) implements Term {}

  public record PriorityTerm(Comparison comparison, int value) implements Term {}

  public record CreatedTerm(Comparison comparison, Instant value) implements Term {}

  /** The text fields of a run. */
  public enum TextField {
    OWNER,
    NAME
  }

  /** {@code = != < <= > >=}. */
  public enum Comparison {
    EQUAL,
    NOT_EQUAL,
    LESS,
    AT_MOST,
    GREATER,
    AT_LEAST
  }
}
