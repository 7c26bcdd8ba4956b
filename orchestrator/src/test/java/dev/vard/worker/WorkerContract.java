package dev.vard.worker;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.TestInstance;

/** What every road to a worker owes its caller, on a real model, one class a behaviour. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class WorkerContract {
  private WorkerClient shared;

  abstract WorkerClient open();

  @BeforeAll
  void start() {
    shared = open();
  }

  @AfterAll
  void end() {
    shared.close();
  }

  @Nested
  class Sessions extends SessionsContract {
    Sessions() {
      super(shared);
    }
  }

  @Nested
  class Requests extends RequestsContract {
    Requests() {
      super(shared);
    }
  }

  @Nested
  class Bounds extends BoundsContract {
    Bounds() {
      super(shared);
    }
  }

  @Nested
  class Files extends FilesContract {
    Files() {
      super(shared);
    }
  }

  @Nested
  class Cancelling extends CancellingContract {
    Cancelling() {
      super(shared);
    }
  }
}
