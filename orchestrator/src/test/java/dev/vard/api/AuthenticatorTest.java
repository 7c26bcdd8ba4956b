package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.serve.Caller;
import dev.vard.serve.RequestException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AuthenticatorTest {
  private static final String TOKEN = "alices-token-0123456789";
  private static final InetSocketAddress NEAR = new InetSocketAddress("127.0.0.1", 4711);
  private static final InetSocketAddress FAR = new InetSocketAddress("192.0.2.1", 4711);

  @TempDir private Path folder;

  @Test
  void shouldTakeWhoeverIsOnThisMachineForItsAdminWhereNothingIsSetUp() {
    assertThat(open().authenticate(credentials(Optional.empty(), NEAR)))
        .isEqualTo(new Caller("local", true, "127.0.0.1:4711"));
  }

  @Test
  void shouldRefuseOtherMachinesWhereNothingIsSetUp() {
    refuses(open(), credentials(Optional.empty(), FAR));
  }

  @Test
  void shouldKnowACallerByItsToken() throws Exception {
    assertThat(tokens().authenticate(credentials(Optional.of("bearer  " + TOKEN), FAR)))
        .isEqualTo(new Caller("alice", false, "192.0.2.1:4711"));
  }

  @Test
  void shouldRefuseWhoShowsNothingWhereTokensAreSetUp() throws Exception {
    refuses(tokens(), credentials(Optional.empty(), NEAR));
  }

  @Test
  void shouldRefuseOtherSchemes() throws Exception {
    refuses(tokens(), credentials(Optional.of("Basic " + TOKEN), NEAR));
  }

  @Test
  void shouldNotTellTheTokenThatItRefuses() throws Exception {
    Authenticator authenticator = tokens();

    assertThatThrownBy(
            () ->
                authenticator.authenticate(
                    credentials(Optional.of("Bearer some-secret-of-somebody"), NEAR)))
        .message()
        .doesNotContain("some-secret-of-somebody");
  }

  @Test
  void shouldNotTellTheTokenWhenCredentialsAreLogged() {
    assertThat(credentials(Optional.of("Bearer " + TOKEN), NEAR).toString()).doesNotContain(TOKEN);
  }

  @Test
  void shouldTakeATokenThatWasAddedWhileItRuns() throws Exception {
    Authenticator authenticator = tokens();
    write("alice " + TOKEN + "\nbob bobs-token-0123456789\n", Instant.now().plusSeconds(10));

    assertThat(
            authenticator
                .authenticate(credentials(Optional.of("Bearer bobs-token-0123456789"), FAR))
                .owner())
        .isEqualTo("bob");
  }

  @Test
  void shouldRefuseATokenThatWasTakenAwayWhileItRuns() throws Exception {
    Authenticator authenticator = tokens();
    write("bob bobs-token-0123456789\n", Instant.now().plusSeconds(10));

    refuses(authenticator, credentials(Optional.of("Bearer " + TOKEN), FAR));
  }

  @Test
  void shouldTakeTheOtherLinesOfAFileWithAWrongOne() throws Exception {
    Authenticator authenticator = tokens();
    write("bob short\ncarol carols-token-0123456789\n", Instant.now().plusSeconds(10));

    refuses(authenticator, credentials(Optional.of("Bearer " + TOKEN), FAR));
    assertThat(
            authenticator
                .authenticate(credentials(Optional.of("Bearer carols-token-0123456789"), FAR))
                .owner())
        .isEqualTo("carol");
    assertThat(authenticator.trouble()).isEmpty();
  }

  @Test
  void shouldLetNobodyInWithoutTheFileAndSayWhy() throws Exception {
    Authenticator authenticator = tokens();
    Files.delete(folder.resolve("tokens"));

    refuses(authenticator, credentials(Optional.of("Bearer " + TOKEN), FAR));
    assertThat(authenticator.trouble())
        .hasValueSatisfying(
            why -> assertThat(why).startsWith("nobody is let in: the tokens file "));

    write("alice " + TOKEN + "\n", Instant.now());
    assertThat(authenticator.authenticate(credentials(Optional.of("Bearer " + TOKEN), FAR)))
        .isNotNull();
    assertThat(authenticator.trouble()).isEmpty();
  }

  @Test
  void shouldSeeAnotherContentUnderTheSameTimeAndSize() throws Exception {
    Instant time = Instant.parse("2026-01-01T00:00:00Z");
    Path file = write("alice " + TOKEN + "\n", time);
    Authenticator authenticator =
        new Authenticator(LiveApi.settings(Map.of("tokens", file.toString())));
    Admission admission = authenticator.admit(credentials(Optional.of("Bearer " + TOKEN), FAR));
    assertThat(admission.stands().getAsBoolean()).isTrue();
    write("alice " + TOKEN.replace('0', '9') + "\n", time);

    authenticator.look();

    assertThat(admission.stands().getAsBoolean()).isFalse();
    refuses(authenticator, credentials(Optional.of("Bearer " + TOKEN), FAR));
  }

  private static Authenticator open() {
    return new Authenticator(LiveApi.settings(Map.of()));
  }

  private Authenticator tokens() throws Exception {
    Path file = write("alice " + TOKEN + "\n", Instant.now());
    return new Authenticator(LiveApi.settings(Map.of("tokens", file.toString())));
  }

  private Path write(String text, Instant changed) throws Exception {
    Path file = Files.writeString(folder.resolve("tokens"), text);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
    return Files.setLastModifiedTime(file, FileTime.from(changed));
  }

  private static Credentials credentials(Optional<String> authorization, InetSocketAddress peer) {
    return new Credentials(authorization, Optional.empty(), peer);
  }

  private static void refuses(Authenticator authenticator, Credentials credentials) {
    assertThatThrownBy(() -> authenticator.authenticate(credentials))
        .isInstanceOfSatisfying(
            RequestException.class,
            e -> assertThat(e.code()).isEqualTo(RequestException.Code.UNAUTHENTICATED));
  }
}
