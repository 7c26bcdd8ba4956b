package dev.vard.worker;

class JepWorkerContractTest extends WorkerContract {
  @Override
  WorkerClient open() {
    return WorkerClients.open(new WorkerLocation.Embedded(1));
  }
}
