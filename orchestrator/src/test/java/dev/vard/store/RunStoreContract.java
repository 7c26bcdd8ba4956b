package dev.vard.store;

import java.sql.SQLException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.TestInstance;

/** What every database must do, one class a behaviour. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class RunStoreContract {
  private StoreFixture fixture;

  abstract Database database();

  @BeforeAll
  void open() {
    fixture = new StoreFixture(database());
  }

  @AfterAll
  void close() {
    fixture.close();
  }

  @BeforeEach
  void empty() throws SQLException {
    fixture.empty();
  }

  @Nested
  class Creating extends CreatingContract {
    Creating() {
      super(fixture);
    }
  }

  @Nested
  class Turns extends TurnsContract {
    Turns() {
      super(fixture);
    }
  }

  @Nested
  class Moves extends MovesContract {
    Moves() {
      super(fixture);
    }
  }

  @Nested
  class Claiming extends ClaimingContract {
    Claiming() {
      super(fixture);
    }
  }

  @Nested
  class Cancelling extends CancellingContract {
    Cancelling() {
      super(fixture);
    }
  }

  @Nested
  class Journal extends JournalContract {
    Journal() {
      super(fixture);
    }
  }

  @Nested
  class Listing extends ListingContract {
    Listing() {
      super(fixture);
    }
  }

  @Nested
  class Upkeep extends UpkeepContract {
    Upkeep() {
      super(fixture);
    }
  }
}
