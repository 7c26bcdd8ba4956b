package dev.vard.serve;

import com.github.kagkarlsson.scheduler.jdbc.DefaultJdbcCustomization;
import com.github.kagkarlsson.scheduler.jdbc.Queries;

/**
 * What db-scheduler has to know of H2, which it does not know: H2 can pass over locked rows, and
 * says so at the end of the statement.
 */
final class H2Customization extends DefaultJdbcCustomization {

  H2Customization() {
    super(false);
  }

  @Override
  public String getName() {
    return "H2";
  }

  @Override
  public boolean supportsGenericLockAndFetch() {
    return true;
  }

  @Override
  public String createGenericSelectForUpdateQuery(
      String tableName, int limit, String requiredAndCondition, boolean orderByPriority) {
    return Queries.selectForUpdate(
        tableName,
        Queries.ansiSqlOrderPart(orderByPriority),
        getQueryLimitPart(limit),
        requiredAndCondition,
        null,
        null,
        " FOR UPDATE SKIP LOCKED ");
  }
}
