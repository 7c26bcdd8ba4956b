package dev.vard.reward.kind;

import static dev.vard.reward.kind.Asked.PATIENCE;
import static dev.vard.reward.kind.Asked.queries;
import static dev.vard.reward.kind.Asked.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.api.TestCertificates;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardOutcome.Score;
import dev.vard.spec.RewardSource.Access;
import io.grpc.ServerCredentials;
import io.grpc.TlsServerCredentials;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tokens, and whom a reward trusts. */
class GrpcRewardSecurityTest extends GrpcRewardBehaviour {
  @TempDir Path folder;

  @Test
  void shouldShowTheToken() throws Exception {
    try (Reward reward =
        open(
            List.of(server.endpoint()),
            Asked.withToken(false, Optional.empty()),
            PATIENCE,
            Map.of("VARD_REWARD_TOKEN", "s3cret\n"))) {
      reward.score(queries(1));
    }
    assertThat(server.tokens).containsExactly("Bearer s3cret", "Bearer s3cret");
  }

  @Test
  void shouldBeLetInByAServerThatAsksEverybodyForItsToken() throws Exception {
    server.wanted = Optional.of("Bearer s3cret");
    Access access = Asked.withToken(false, Optional.empty());
    try (Reward reward =
        open(List.of(server.endpoint()), access, PATIENCE, Map.of("VARD_REWARD_TOKEN", "s3cret"))) {
      assertThat(reward.score(queries(1))).hasOnlyElementsOfType(Score.class);
    }
    Map<String, String> other = Map.of("VARD_REWARD_TOKEN", "wrong");

    RewardException refusal =
        refusal(() -> open(List.of(server.endpoint()), access, PATIENCE, other));

    assertThat(refusal.code()).isEqualTo("UNAUTHENTICATED");
    assertThat(refusal.retryable()).isFalse();
    assertThat(refusal)
        .hasMessageContaining("who are you?")
        .hasMessageContaining("reward.token-env")
        .hasMessageNotContaining("wrong");
  }

  @Test
  void shouldNameAVariableThatIsNotSet() {
    RewardException refusal =
        refusal(
            () ->
                open(
                    List.of(server.endpoint()),
                    Asked.withToken(false, Optional.empty()),
                    PATIENCE,
                    Map.of()));

    assertThat(refusal.code()).isEqualTo("NO_TOKEN");
    assertThat(refusal).hasMessageContaining("VARD_REWARD_TOKEN");
  }

  @Test
  void shouldNotSayATokenInTheClearBeyondThisMachine() {
    RewardException refusal =
        refusal(
            () ->
                open(
                    List.of(server.endpoint(), "192.0.2.1:443"),
                    Asked.withToken(false, Optional.empty()),
                    PATIENCE,
                    Map.of("VARD_REWARD_TOKEN", "s3cret")));

    assertThat(refusal.code()).isEqualTo("TOKEN_IN_THE_CLEAR");
    assertThat(refusal)
        .hasMessageContaining("192.0.2.1")
        .hasMessageContaining("TLS")
        .hasMessageNotContaining("s3cret");
  }

  @Test
  void shouldEncrypt() throws Exception {
    ServerCredentials credentials = credentials(new TestCertificates(folder));
    Access access = Asked.withToken(true, Optional.of(folder.resolve("authority.pem")));
    try (GrpcRewardServer encrypted = new GrpcRewardServer("127.0.0.1", credentials);
        Reward reward =
            open(
                List.of("localhost:" + encrypted.port()),
                access,
                PATIENCE,
                Map.of("VARD_REWARD_TOKEN", "s3cret"))) {
      assertThat(reward.score(queries(1))).hasOnlyElementsOfType(Score.class);
      assertThat(encrypted.tokens).contains("Bearer s3cret");
    }
  }

  @Test
  void shouldCheckTheCertificateOfEachEndpointByItsOwnName() throws Exception {
    TestCertificates certificates = new TestCertificates(folder);
    ServerCredentials credentials = credentials(certificates);
    Access access = new Access(true, Optional.of(certificates.authority()), Optional.empty());
    // The certificate is for 127.0.0.1.
    try (GrpcRewardServer certified = new GrpcRewardServer("127.0.0.1", credentials);
        GrpcRewardServer stranger = new GrpcRewardServer("127.0.0.2", credentials)) {
      List<String> both = List.of(stranger.endpoint(), certified.endpoint());
      try (Reward reward = open(both, access, PATIENCE, Map.of())) {
        for (int i = 0; i < 5; i++) {
          assertThat(reward.score(queries(1))).hasOnlyElementsOfType(Score.class);
        }
      }
      assertThat(stranger.requests).isEmpty();
    }
  }

  private static ServerCredentials credentials(TestCertificates certificates) throws Exception {
    certificates.make("reward");
    return TlsServerCredentials.create(
        certificates.certificate("reward", ".crt").toFile(),
        certificates.certificate("reward", ".key").toFile());
  }

  @Test
  void shouldNotTrustAServerOfAnotherAuthority() throws Exception {
    ServerCredentials credentials = credentials(new TestCertificates(folder));
    try (GrpcRewardServer encrypted = new GrpcRewardServer("127.0.0.1", credentials)) {
      Access access = new Access(true, Optional.empty(), Optional.empty());

      RewardException refusal =
          refusal(() -> open(List.of(encrypted.endpoint()), access, PATIENCE, Map.of()));

      assertThat(refusal.code()).isEqualTo("UNAVAILABLE");
      assertThat(refusal).hasMessageContaining("TLS");
    }
  }
}
