package dev.vard.worker;

import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;

class GrpcWorkerContractTest extends WorkerContract {
  @TempDir static Path folder;

  @Override
  WorkerClient open() {
    return WorkerClients.open(new WorkerLocation.Local(1), folder.resolve("worker.log"));
  }
}
