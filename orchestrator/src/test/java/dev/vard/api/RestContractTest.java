package dev.vard.api;

class RestContractTest extends ApiContract {
  @Override
  Road open(LiveApi api) {
    return RestRoad.to(api);
  }
}
