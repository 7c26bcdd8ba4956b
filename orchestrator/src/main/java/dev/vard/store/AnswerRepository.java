package dev.vard.store;

import io.micronaut.data.annotation.Embeddable;
import io.micronaut.data.annotation.EmbeddedId;
import io.micronaut.data.annotation.MappedEntity;
import io.micronaut.data.annotation.MappedProperty;
import io.micronaut.data.annotation.Query;
import io.micronaut.data.jdbc.annotation.JdbcRepository;
import io.micronaut.data.model.query.builder.sql.Dialect;
import io.micronaut.data.repository.GenericRepository;
import java.util.List;
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
   * @param score for people
   * @param bits the score to the bit: H2 knows no −0
   * @param generation that asked
   */
  @MappedEntity("reward_answer")
  record AnswerRow(@EmbeddedId Key key, double score, long bits, long generation) {
    static AnswerRow of(Key key, double score, long generation) {
      return new AnswerRow(key, score, Double.doubleToRawLongBits(score), generation);
    }

    /** The score as it was answered. */
    double exactly() {
      return Double.longBitsToDouble(bits);
    }

    boolean same(AnswerRow other) {
      return key.equals(other.key) && bits == other.bits && generation == other.generation;
    }
  }

  AnswerRow save(AnswerRow row);

  Optional<AnswerRow> findById(Key key);

  @Query("select * from reward_answer where run_id = :runId and round = :round order by idx")
  List<AnswerRow> of(String runId, String round);
}
