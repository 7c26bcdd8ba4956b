package dev.vard.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PageTokenTest {
  private static final List<String> QUESTION = List.of("runs", "ann", "state = DONE");

  @Test
  void shouldRememberThePlace() {
    String token = PageToken.write(QUESTION, "2026-11-23T08:19:01Z ünicode");

    assertThat(PageToken.read(QUESTION, token)).isEqualTo("2026-11-23T08:19:01Z ünicode");
    assertThat(token).matches("[\\w-]+");
  }

  @Test
  void shouldRefuseATokenOfAnotherQuestion() {
    String token = PageToken.write(QUESTION, "place");

    assertThat(refusal(List.of("runs", "bob", "state = DONE"), token).field())
        .contains("page_token");
    assertThat(refusal(List.of("runsann", "", "state = DONE"), token)).isNotNull();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"a", "not base64!", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAA", "../..", "\u0000"})
  void shouldRefuseWhatIsNoToken(String token) {
    assertThat(refusal(QUESTION, token).code()).isEqualTo(RequestException.Code.INVALID_ARGUMENT);
  }

  @Test
  void shouldRefuseAChangedToken() {
    String token = PageToken.write(QUESTION, "place");

    for (int i = 0; i < token.length() - 1; i++) {
      char other = token.charAt(i) == 'A' ? 'B' : 'A';
      String changed = token.substring(0, i) + other + token.substring(i + 1);
      assertThat(refusal(QUESTION, changed)).isNotNull();
    }
    assertThat(refusal(QUESTION, "A".repeat(1_000_000))).isNotNull();
  }

  private static RequestException refusal(List<String> question, String token) {
    return catchThrowableOfType(RequestException.class, () -> PageToken.read(question, token));
  }
}
