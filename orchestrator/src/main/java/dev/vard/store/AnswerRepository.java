package dev.vard.store;

import dev.vard.reward.Answer;
import io.micronaut.core.annotation.Nullable;
import io.micronaut.data.annotation.Embeddable;
import io.micronaut.data.annotation.EmbeddedId;
import io.micronaut.data.annotation.MappedEntity;
import io.micronaut.data.annotation.MappedProperty;
import io.micronaut.data.annotation.Query;
import io.micronaut.data.jdbc.annotation.JdbcRepository;
import io.micronaut.data.model.query.builder.sql.Dialect;
import io.micronaut.data.repository.GenericRepository;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/** The rewards that were answered. */
@JdbcRepository(dialect = Dialect.POSTGRES)
interface AnswerRepository
    extends GenericRepository<AnswerRepository.AnswerRow, AnswerRepository.Key> {

  /**
   * @param idx in the round
   */
  @Embeddable
  record Key(
      @MappedProperty("run_id") String runId,
      @MappedProperty("round") String round,
      @MappedProperty("idx") int idx) {}

  /**
   * @param score for people; null of one that was dropped
   * @param bits the score to the bit: H2 knows no −0; null of one that was dropped
   * @param dropped why it has no score; null of one that has
   * @param digest finds it for identical queries; empty if none are looked for
   * @param generation that asked
   */
  @MappedEntity("reward_answer")
  record AnswerRow(
      @EmbeddedId Key key,
      @Nullable Double score,
      @Nullable Long bits,
      @Nullable String dropped,
      String digest,
      long generation) {
    static AnswerRow of(Key key, Answer answer, String digest, long generation) {
      return switch (answer) {
        case Answer.Scored(double score) ->
            new AnswerRow(key, score, Double.doubleToRawLongBits(score), null, digest, generation);
        case Answer.Dropped(String code) ->
            new AnswerRow(key, null, null, code, digest, generation);
      };
    }

    /** As it was answered. */
    Answer answer() {
      return bits == null
          ? new Answer.Dropped(Objects.requireNonNull(dropped))
          : new Answer.Scored(Double.longBitsToDouble(bits));
    }

    boolean same(AnswerRow other) {
      return key.equals(other.key)
          && answer().equals(other.answer())
          && generation == other.generation;
    }
  }

  AnswerRow save(AnswerRow row);

  Optional<AnswerRow> findById(Key key);

  @Query("select * from reward_answer where run_id = :runId and round = :round order by idx")
  List<AnswerRow> of(String runId, String round);

  @Query(
      "select * from reward_answer where run_id = :runId and digest = :digest and bits is not null"
          + " order by round, idx limit 1")
  Optional<AnswerRow> identical(String runId, String digest);
}
