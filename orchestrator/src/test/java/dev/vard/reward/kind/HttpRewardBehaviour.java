package dev.vard.reward.kind;

import static dev.vard.reward.kind.Asked.PATIENCE;

import dev.vard.reward.Reward;
import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.spec.RewardSource;
import dev.vard.spec.RewardSource.Access;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;

/** One behaviour of a reward by HTTP, against a real server: what its tests begin with. */
@Timeout(60)
abstract class HttpRewardBehaviour {
  HttpRewardServer server;

  @BeforeEach
  void start() throws Exception {
    server = new HttpRewardServer();
  }

  @AfterEach
  void stop() {
    server.close();
  }

  static Reward open(URI url, Access access, Duration timeout, Map<String, String> variables) {
    return new RewardKinds(Asked.environment(Path.of("none"), variables))
        .open(Asked.part(new RewardSource.Http(url, access), Asked.asking(timeout)));
  }

  final Reward open() {
    return open(server.url(), Access.OPEN, PATIENCE, Map.of());
  }

  final Failure failure(Duration timeout) throws Exception {
    try (Reward reward = open(server.url(), Access.OPEN, timeout, Map.of())) {
      return Asked.failure(reward);
    }
  }

  final void answers(int status, String body) {
    server.answer = (request, exchange) -> HttpRewardServer.give(exchange, status, body);
  }
}
