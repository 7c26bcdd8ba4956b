package dev.vard.serve;

import dev.vard.run.KeptSpec;
import dev.vard.serve.RequestException.Code;
import dev.vard.serve.Runs.Creation;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecException;
import dev.vard.spec.SpecProblem;
import dev.vard.spec.SpecReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.regex.Pattern;

/**
 * What a creation asks for.
 *
 * @param spec as it was read
 * @param text of it, with every default
 */
record Wanted(RunSpec spec, String text) {
  private static final int MAX_OVERRIDES = 100;
  private static final int MAX_PRIORITY = 100;

  /** An error has to fit into the headers of an answer. */
  private static final int MAX_PROBLEMS = 10;

  private static final int MAX_PROBLEM_CHARACTERS = 300;

  private static final Pattern UUID =
      Pattern.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}");

  /**
   * What can be said of a creation before its specification is read.
   *
   * @throws RequestException INVALID_ARGUMENT, by the field
   */
  static void check(Creation creation, ServeSettings settings) {
    if (creation.specification().isBlank()) {
      throw invalid("specification", "specification is missing; give one in YAML");
    }
    if (creation.overrides().size() > MAX_OVERRIDES) {
      throw invalid(
          "overrides",
          "there are " + creation.overrides().size() + " overrides; give at most " + MAX_OVERRIDES);
    }
    long bytes = bytes(creation.specification());
    for (String override : creation.overrides()) {
      bytes += bytes(override);
    }
    if (bytes > settings.maxSpecificationBytes()) {
      throw invalid(
          "specification",
          "specification and overrides have "
              + bytes
              + " bytes; give at most "
              + settings.maxSpecificationBytes());
    }
    if (Math.abs((long) creation.priority()) > MAX_PRIORITY) {
      throw invalid(
          "priority",
          "priority is "
              + creation.priority()
              + "; give a whole number from "
              + -MAX_PRIORITY
              + " to "
              + MAX_PRIORITY);
    }
    if (!creation.requestId().isEmpty() && !UUID.matcher(creation.requestId()).matches()) {
      throw invalid(
          "request_id",
          "request_id is no UUID; give one as 123e4567-e89b-42d3-a456-426614174000, or none");
    }
  }

  private static int bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8).length;
  }

  /**
   * @param reader confined to what others may ask for
   * @throws RequestException INVALID_ARGUMENT with the specification's problems, or for what it
   *     costs
   */
  static Wanted read(Creation creation, SpecReader reader, ServeSettings settings) {
    try {
      RunSpec spec =
          reader.read(creation.specification(), "specification", Path.of(""), creation.overrides());
      RunCost.of(spec).require(settings);
      return new Wanted(spec, KeptSpec.text(spec));
    } catch (SpecException e) {
      StringBuilder text = new StringBuilder();
      for (SpecProblem problem :
          e.problems().subList(0, Math.min(MAX_PROBLEMS, e.problems().size()))) {
        String line = problem.toString();
        text.append(text.isEmpty() ? "" : "\n")
            .append(line, 0, Math.min(line.length(), MAX_PROBLEM_CHARACTERS));
      }
      if (e.problems().size() > MAX_PROBLEMS) {
        text.append("\nand ").append(e.problems().size() - MAX_PROBLEMS).append(" more");
      }
      throw new RequestException(Code.INVALID_ARGUMENT, "specification", text.toString(), e);
    }
  }

  /** Of all that a repeated request must have the same. */
  static String digest(Creation creation) {
    MessageDigest digest = Digests.sha256();
    Digests.update(digest, creation.specification());
    Digests.update(digest, Integer.toString(creation.priority()));
    creation.overrides().forEach(override -> Digests.update(digest, override));
    return HexFormat.of().formatHex(digest.digest());
  }

  private static RequestException invalid(String field, String message) {
    return new RequestException(Code.INVALID_ARGUMENT, field, message);
  }
}
