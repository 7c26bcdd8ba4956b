package dev.vard.api;

import dev.vard.serve.RequestException;
import dev.vard.serve.RequestException.Code;
import dev.vard.serve.Runs.PageRequest;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What both APIs call things: {@code runs/{run}} and {@code runs/{run}/artifacts/{path}}. */
final class ResourceNames {
  static final String RUN_ID = "[A-Za-z0-9._-]{1,60}";
  static final int MAX_PAGE = 1000;

  /** Of a path, a filter, a page token. */
  static final int MAX_TEXT = 2048;

  static final String TEXT = "^[^\\x00-\\x1f\\x7f-\\x9f]*$";

  private static final Pattern ID = Pattern.compile(RUN_ID);
  private static final Pattern RUN = Pattern.compile("runs/(" + RUN_ID + ")");
  private static final Pattern ARTIFACT =
      Pattern.compile("runs/(" + RUN_ID + ")/artifacts/(.+)", Pattern.DOTALL);

  private ResourceNames() {}

  /** A file of a run. */
  record ArtifactName(String run, String path) {}

  static String run(String id) {
    return "runs/" + id;
  }

  static String artifact(String run, String path) {
    return run(run) + "/artifacts/" + path;
  }

  /**
   * The id in a run's name.
   *
   * @param field of the request, for the error
   */
  static String runId(String field, String name) {
    Matcher run = RUN.matcher(name);
    if (!run.matches()) {
      throw invalid(field, "this is no run's name: give it as `runs/RUN`");
    }
    return run.group(1);
  }

  /** An id as a path of a URL has it. */
  static String checkedId(String id) {
    if (!ID.matcher(id).matches()) {
      throw invalid("run", "this is no run's id: it has 1 to 60 letters, digits, '.', '_' and '-'");
    }
    return id;
  }

  static ArtifactName artifactName(String field, String name) {
    Matcher artifact = ARTIFACT.matcher(name);
    if (!artifact.matches()) {
      throw invalid(field, "this is no artifact's name: give it as `runs/RUN/artifacts/PATH`");
    }
    return new ArtifactName(artifact.group(1), checkedText(field, artifact.group(2)));
  }

  /** Nothing that anybody would write in earnest, and no database or file system takes it all. */
  static String checkedText(String field, String text) {
    if (text.length() > MAX_TEXT || text.chars().anyMatch(Character::isISOControl)) {
      throw invalid(field, "at most %d characters, and no control characters".formatted(MAX_TEXT));
    }
    return text;
  }

  static PageRequest page(int size, String token) {
    if (size < 0 || size > MAX_PAGE) {
      throw invalid(
          "page_size", "%d is not within 0 (for the default) and %d".formatted(size, MAX_PAGE));
    }
    return new PageRequest(size, checkedText("page_token", token));
  }

  /** A number that counts something. */
  static long notNegative(String field, long number) {
    if (number < 0) {
      throw invalid(field, "%d is below 0".formatted(number));
    }
    return number;
  }

  private static RequestException invalid(String field, String message) {
    return new RequestException(Code.INVALID_ARGUMENT, field, field + ": " + message);
  }
}
