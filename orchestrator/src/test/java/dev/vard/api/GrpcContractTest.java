package dev.vard.api;

class GrpcContractTest extends ApiContract {
  @Override
  Road open(LiveApi api) {
    return GrpcRoad.to(api.grpcPort());
  }
}
