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
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tokens, and whom a reward trusts. */
class HttpRewardSecurityTest extends HttpRewardBehaviour {
  @Test
  void shouldShowTheToken() throws Exception {
    try (Reward reward =
        open(
            server.url(),
            Asked.withToken(false, Optional.empty()),
            PATIENCE,
            Map.of("VARD_REWARD_TOKEN", "s3cret\n"))) {
      reward.score(queries(1));
    }
    assertThat(server.tokens).containsExactly("Bearer s3cret");
  }

  @Test
  void shouldNotSayATokenInTheClearBeyondThisMachine() {
    RewardException refusal =
        refusal(
            () ->
                open(
                    URI.create("http://192.0.2.1/"),
                    Asked.withToken(false, Optional.empty()),
                    PATIENCE,
                    Map.of("VARD_REWARD_TOKEN", "s3cret")));

    assertThat(refusal.code()).isEqualTo("TOKEN_IN_THE_CLEAR");
    assertThat(refusal).hasMessageNotContaining("s3cret");
  }

  @ParameterizedTest
  @ValueSource(strings = {" ", "two words", "naïve"})
  void shouldRefuseWhatIsNoToken(String value) {
    RewardException refusal =
        refusal(
            () ->
                open(
                    server.url(),
                    Asked.withToken(false, Optional.empty()),
                    PATIENCE,
                    Map.of("VARD_REWARD_TOKEN", value)));

    assertThat(refusal.code()).isEqualTo("NO_TOKEN");
    assertThat(refusal).hasMessageContaining("VARD_REWARD_TOKEN");
  }

  @Test
  void shouldEncrypt(@TempDir Path folder) throws Exception {
    TestCertificates certificates = new TestCertificates(folder);
    certificates.make("reward");
    try (HttpRewardServer encrypted = HttpRewardServer.withTls(certificates.showing("reward"))) {
      Access trusting = Asked.withToken(true, Optional.of(certificates.authority()));
      Access strange = new Access(true, Optional.empty(), Optional.empty());
      Map<String, String> variables = Map.of("VARD_REWARD_TOKEN", "s3cret");

      try (Reward reward = open(encrypted.url(), trusting, PATIENCE, variables)) {
        assertThat(reward.score(queries(1))).hasOnlyElementsOfType(Score.class);
      }
      assertThat(encrypted.tokens).containsExactly("Bearer s3cret");
      assertThat(refusal(() -> open(encrypted.url(), strange, PATIENCE, variables)))
          .hasMessageContaining("reward.ca");
    }
  }

  @Test
  void shouldNameACaThatIsNone(@TempDir Path folder) throws Exception {
    Path file = Files.writeString(folder.resolve("ca.pem"), "no certificate");

    RewardException refusal =
        refusal(
            () ->
                open(
                    URI.create("https://127.0.0.1"),
                    new Access(true, Optional.of(file), Optional.empty()),
                    PATIENCE,
                    Map.of()));

    assertThat(refusal.code()).isEqualTo("BAD_CA");
    assertThat(refusal).hasMessageContaining(file.toString());
  }
}
