package dev.vard.spec;

/**
 * One thing that is wrong with a specification.
 *
 * @param origin where it stands, as {@code examples/x.yaml:12} or {@code --set sampler.steps=0}
 * @param path the key, as {@code sampler.steps}; empty where no key is to blame
 * @param message what is wrong, and what to do
 */
public record SpecProblem(Code code, Origin origin, String path, String message) {

  /** Kinds of problem. */
  public enum Code {
    BAD_YAML,
    DUPLICATE_KEY,
    UNKNOWN_KEY,
    MISSING_KEY,
    WRONG_TYPE,
    OUT_OF_RANGE,
    CONFLICT,
    MISSING_FILE,
    /** Not to be had from a server: see {@link Confinement}. */
    FORBIDDEN
  }

  @Override
  public String toString() {
    return path.isEmpty() ? origin + ": " + message : origin + ": " + path + ": " + message;
  }
}
