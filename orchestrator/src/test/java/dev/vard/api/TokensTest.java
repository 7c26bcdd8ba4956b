package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokensTest {
  private static final String ALICES = "alices-token-0123456789";

  @TempDir private Path folder;

  @Test
  void shouldKnowWhomATokenStandsFor() throws IOException {
    Tokens tokens = read("# ours\n\nalice " + ALICES + "\nroot roots-token-0123456789 admin\n");

    assertThat(tokens.find(ALICES)).contains(new Tokens.Owner("alice", false));
    assertThat(tokens.find("roots-token-0123456789")).contains(new Tokens.Owner("root", true));
    assertThat(tokens.find("alices-token-012345678")).isEmpty();
  }

  @Test
  void shouldTakeADigestInPlaceOfAToken() throws IOException {
    Tokens tokens = read("alice " + sha256(ALICES) + "\n");

    assertThat(tokens.find(ALICES)).contains(new Tokens.Owner("alice", false));
  }

  @Test
  void shouldNotTakeTheDigestItselfForTheToken() throws IOException {
    Tokens tokens = read("alice " + sha256(ALICES) + "\n");

    assertThat(tokens.find(sha256(ALICES))).isEmpty();
  }

  @Test
  void shouldLetAnOwnerHaveSeveralTokens() throws IOException {
    Tokens tokens = read("alice " + ALICES + "\nalice another-token-0123456\n");

    assertThat(tokens.find(ALICES)).isEqualTo(tokens.find("another-token-0123456")).isPresent();
  }

  @Test
  void shouldNameLineAndCureOfEveryMistake() {
    assertThatThrownBy(
            () ->
                read(
                    """
                    alice
                    bad/owner bobs-token-0123456789
                    bob short
                    carol sha256:123
                    dave daves-token-0123456789 boss
                    erin erins-"token"-0123456789
                    """))
        .isInstanceOf(SettingsException.class)
        .message()
        .contains("tokens:1: this is not OWNER TOKEN [admin]")
        .contains("tokens:2: the owner must begin")
        .contains("tokens:3: the token is shorter than 16 characters", "openssl rand -hex 32")
        .contains("tokens:4: sha256: needs 64 hex digits")
        .contains("tokens:5: this is not OWNER TOKEN [admin]")
        .contains("tokens:6: a token has letters");
  }

  @Test
  void shouldTellNoTokenInAnError() {
    assertThatThrownBy(() -> read("alice " + ALICES + " boss\nbob 0123456789\n"))
        .message()
        .doesNotContain(ALICES)
        .doesNotContain("0123456789");
  }

  @Test
  void shouldReadTheOtherLinesAndNameTheWrongOnes() throws IOException {
    Path file = Files.createFile(folder.resolve("tokens"));
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
    ByteArrayOutputStream content = new ByteArrayOutputStream();
    content.write(("\uFEFFalice " + ALICES + "\r\nboo\n").getBytes(StandardCharsets.UTF_8));
    content.write("bob sh\u00f6rt-token-0123456789\n".getBytes(StandardCharsets.ISO_8859_1));
    content.write("carol carols-token-0123456789\n".getBytes(StandardCharsets.UTF_8));

    Tokens.Parsed parsed = Tokens.parse(file, content.toByteArray());

    assertThat(parsed.tokens().find(ALICES)).isPresent();
    assertThat(parsed.tokens().find("carols-token-0123456789")).isPresent();
    assertThat(parsed.problems())
        .satisfiesExactly(
            problem -> assertThat(problem).contains("tokens:2: this is not OWNER TOKEN"),
            problem -> assertThat(problem).contains("tokens:3: a token has letters"));
  }

  @Test
  void shouldRefuseTheSameTokenTwice() {
    assertThatThrownBy(() -> read("alice " + ALICES + "\nbob " + sha256(ALICES) + "\n"))
        .hasMessageContaining("tokens:2: the same token as in")
        .hasMessageContaining("tokens:1");
  }

  @Test
  void shouldRefusePlainTokensThatEverybodyCanRead() {
    assertThatThrownBy(() -> read("alice " + ALICES + "\n", "rw-r--r--"))
        .hasMessageContaining("chmod 600");
  }

  @Test
  void shouldTakeDigestsThatEverybodyCanRead() throws IOException {
    assertThat(read("alice " + sha256(ALICES) + "\n", "rw-r--r--").find(ALICES)).isPresent();
  }

  @Test
  void shouldRefuseAFileWithoutTokens() {
    assertThatThrownBy(() -> read("# none\n")).hasMessageContaining("there is no token in it");
  }

  @Test
  void shouldRefuseAFileThatIsNotThere() {
    assertThatThrownBy(() -> Tokens.read(folder.resolve("nowhere")))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("cannot be read");
  }

  private static String sha256(String token) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      return "sha256:"
          + HexFormat.of().formatHex(digest.digest(token.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  private Tokens read(String text) throws IOException {
    return read(text, "rw-------");
  }

  private Tokens read(String text, String permissions) throws IOException {
    Path file = Files.writeString(folder.resolve("tokens"), text);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString(permissions));
    return Tokens.read(file);
  }
}
