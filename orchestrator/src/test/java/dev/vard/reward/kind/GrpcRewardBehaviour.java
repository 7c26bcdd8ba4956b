package dev.vard.reward.kind;

import static dev.vard.reward.kind.Asked.PATIENCE;

import dev.vard.reward.Reward;
import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.spec.RewardSource;
import dev.vard.spec.RewardSource.Access;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;

/** One behaviour of a reward by gRPC, against a real server: what its tests begin with. */
@Timeout(60)
abstract class GrpcRewardBehaviour {
  GrpcRewardServer server;

  @BeforeEach
  void start() throws Exception {
    server = new GrpcRewardServer();
  }

  @AfterEach
  void stop() throws Exception {
    server.close();
  }

  static Reward open(
      List<String> endpoints, Access access, Duration timeout, Map<String, String> variables) {
    var source = new RewardSource.Grpc(endpoints, "", access);
    return new RewardKinds(Asked.environment(Path.of("none"), variables))
        .open(Asked.part(source, Asked.asking(timeout)));
  }

  final Reward open() {
    return open(List.of(server.endpoint()), Access.OPEN, PATIENCE, Map.of());
  }

  final Failure failure(Duration timeout) throws Exception {
    try (Reward reward = open(List.of(server.endpoint()), Access.OPEN, timeout, Map.of())) {
      return Asked.failure(reward);
    }
  }
}
