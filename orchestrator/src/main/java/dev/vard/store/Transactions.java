package dev.vard.store;

import io.micronaut.context.annotation.Requires;
import io.micronaut.transaction.TransactionDefinition;
import io.micronaut.transaction.TransactionOperations;
import jakarta.inject.Singleton;
import java.sql.Connection;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import javax.sql.DataSource;

/** All or nothing; and an outage of the database is UNAVAILABLE, whoever's exception told of it. */
@Singleton
@Requires(beans = DataSource.class)
final class Transactions {
  private final TransactionOperations<Connection> operations;

  Transactions(TransactionOperations<Connection> operations) {
    this.operations = operations;
  }

  <T> T read(Supplier<T> work) {
    return in(TransactionDefinition.READ_ONLY, work);
  }

  <T> T write(Supplier<T> work) {
    return in(TransactionDefinition.DEFAULT, work);
  }

  void write(Runnable work) {
    write(
        () -> {
          work.run();
          return true;
        });
  }

  private <T> T in(TransactionDefinition definition, Supplier<T> work) {
    AtomicReference<RuntimeException> inside = new AtomicReference<>();
    try {
      return operations.execute(
          definition,
          status -> {
            try {
              return work.get();
            } catch (RuntimeException e) {
              inside.set(e);
              throw e;
            }
          });
    } catch (RuntimeException e) {
      // What comes out may be that a broken connection could not be put back in order.
      throw Optional.ofNullable(inside.get())
          .flatMap(Outage::in)
          .or(() -> Outage.in(e))
          .map(Outage::unavailable)
          .map(RuntimeException.class::cast)
          .orElse(e);
    }
  }
}
