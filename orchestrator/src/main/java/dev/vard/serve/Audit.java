package dev.vard.serve;

import dev.vard.serve.RequestException.Code;
import dev.vard.serve.Runs.RunView;
import dev.vard.store.RunStore;
import dev.vard.store.RunStore.AuditEntry;
import dev.vard.store.StoreException;
import java.time.Clock;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Answers requests, and writes down who changed something, and who was refused. */
final class Audit {
  private static final Logger LOG = LoggerFactory.getLogger(Audit.class);

  private final RunStore store;
  private final Clock clock;

  Audit(RunStore store, Clock clock) {
    this.store = store;
    this.clock = clock;
  }

  /** Does what changes something; who asked for it is written down, whatever comes of it. */
  <T> T audited(Caller caller, String action, String target, Supplier<T> change) {
    String outcome = "INTERNAL";
    String subject = target;
    try {
      T result = change.get();
      outcome = "OK";
      if (result instanceof RunView made) {
        subject = made.run().id();
      }
      return result;
    } catch (StoreException e) {
      RequestException failure = Failures.of(e);
      outcome = failure.code().name();
      throw failure;
    } catch (Hidden e) {
      outcome = Code.PERMISSION_DENIED.name();
      throw e.shown;
    } catch (RequestException e) {
      outcome = e.code().name();
      throw e;
    } finally {
      write(caller, action, subject, outcome);
    }
  }

  /** Answers what changes nothing; only who was refused is written down. */
  <T> T answered(Caller caller, String action, String target, Supplier<T> query) {
    try {
      return query.get();
    } catch (StoreException e) {
      throw Failures.of(e);
    } catch (Hidden e) {
      write(caller, action, target, Code.PERMISSION_DENIED.name());
      throw e.shown;
    }
  }

  /** What was done is done: where the database cannot tell of it, the log does. */
  private void write(Caller caller, String action, String target, String outcome) {
    String subject = target.isEmpty() || RunIds.isOne(target) ? target : "(no run's name)";
    AuditEntry entry =
        new AuditEntry(clock.instant(), caller.owner(), caller.peer(), action, subject, outcome);
    try {
      store.audit(entry);
    } catch (StoreException e) {
      LOG.warn("Not in the audit log, because the database is away: {}", entry);
    }
  }

  /** Somebody else's run. The caller gets what stands in it; the audit log gets the truth. */
  static final class Hidden extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final RequestException shown;

    Hidden(RequestException shown) {
      super(shown.getMessage(), shown, false, false);
      this.shown = shown;
    }
  }
}
