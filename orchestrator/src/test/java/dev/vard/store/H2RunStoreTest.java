package dev.vard.store;

import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;

class H2RunStoreTest extends RunStoreContract {
  @TempDir private static Path folder;

  @Override
  Database database() {
    return Database.file(folder.resolve("alice's runs"));
  }
}
