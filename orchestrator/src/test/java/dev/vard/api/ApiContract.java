package dev.vard.api;

import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** What both APIs owe their callers, one class a behaviour. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class ApiContract {
  private ApiFixture fixture;

  abstract Road open(LiveApi api);

  @BeforeAll
  void start(@TempDir Path folder) throws Exception {
    fixture = new ApiFixture(folder, this::open);
  }

  @AfterAll
  void end() {
    fixture.close();
  }

  @Nested
  class Runs extends RunsContract {
    Runs() {
      super(fixture);
    }
  }

  @Nested
  class Access extends AccessContract {
    Access() {
      super(fixture);
    }
  }

  @Nested
  class Watching extends WatchingContract {
    Watching() {
      super(fixture);
    }
  }

  @Nested
  class Artifacts extends ArtifactsContract {
    Artifacts() {
      super(fixture);
    }
  }
}
