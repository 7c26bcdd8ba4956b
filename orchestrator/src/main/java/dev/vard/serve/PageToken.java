package dev.vard.serve;

import dev.vard.serve.RequestException.Code;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;

/**
 * Where a next page begins, as a text that means nothing to the caller. It belongs to one question:
 * with another one it is refused, for its pages would not fit together.
 *
 * <p>Not a secret: what a caller may see is decided anew for each page.
 */
final class PageToken {
  private static final int CHECK_BYTES = 12;
  private static final int MAX_CHARACTERS = 2_000;

  private PageToken() {}

  /**
   * @param question all that decides what is listed, as owner and filter
   * @param place where the next page begins
   */
  static String write(List<String> question, String place) {
    byte[] text = place.getBytes(StandardCharsets.UTF_8);
    byte[] token = Arrays.copyOf(check(question, text), CHECK_BYTES + text.length);
    System.arraycopy(text, 0, token, CHECK_BYTES, text.length);
    return Base64.getUrlEncoder().withoutPadding().encodeToString(token);
  }

  /**
   * @throws RequestException INVALID_ARGUMENT, if {@link #write} did not make this token for this
   *     question
   */
  static String read(List<String> question, String token) {
    if (token.length() <= MAX_CHARACTERS) {
      try {
        byte[] bytes = Base64.getUrlDecoder().decode(token);
        if (bytes.length > CHECK_BYTES) {
          byte[] text = Arrays.copyOfRange(bytes, CHECK_BYTES, bytes.length);
          if (Arrays.equals(check(question, text), Arrays.copyOf(bytes, CHECK_BYTES))) {
            return new String(text, StandardCharsets.UTF_8);
          }
        }
      } catch (IllegalArgumentException e) {
        // Not even Base64: told below like any other.
      }
    }
    throw new RequestException(
        Code.INVALID_ARGUMENT,
        "page_token",
        "page_token is not one that this list gave: send next_page_token of the answer before,"
            + " with the same filter, or none for the first page");
  }

  private static byte[] check(List<String> question, byte[] text) {
    MessageDigest digest = Digests.sha256();
    for (String part : question) {
      Digests.update(digest, part);
    }
    digest.update(text);
    return Arrays.copyOf(digest.digest(), CHECK_BYTES);
  }
}
