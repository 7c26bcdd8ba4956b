package dev.vard.algorithm;

/**
 * Independent seeds for everything random in a run.
 *
 * <p>A seed is the run's seed with purpose, iteration and index mixed in one after the other:
 * {@code h ← mix(h + γ · (x + 1))}, where mix is SplitMix64's finaliser and γ its odd constant
 * (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014). The
 * highest bit is dropped, so that a seed is a number from 0 to 2^63 − 1 in Java and Python alike.
 *
 * @param run the run's seed
 */
public record Seeds(long run) {
  private static final long GAMMA = 0x9E3779B97F4A7C15L;

  /** What a seed is for. The numbers are part of every run's bits: never change one. */
  public enum Purpose {
    MODEL(1),
    PROMPTS(2),
    TRAJECTORY(3),
    /** Held out: no training trajectory ever gets such a seed's purpose. */
    EVALUATION(4),
    FIT(5),
    IMPROVE(6),
    /** Fresh trajectories that the KL is measured on, and nothing else. */
    PROBE(7);

    private final long number;

    Purpose(long number) {
      this.number = number;
    }
  }

  /** The seed for a purpose in an iteration. */
  public long of(Purpose purpose, int iteration, int index) {
    long hash = mix(run + GAMMA);
    hash = mix(hash + GAMMA * (purpose.number + 1));
    hash = mix(hash + GAMMA * (iteration + 1L));
    hash = mix(hash + GAMMA * (index + 1L));
    return hash >>> 1;
  }

  private static long mix(long bits) {
    bits = (bits ^ (bits >>> 30)) * 0xBF58476D1CE4E5B9L;
    bits = (bits ^ (bits >>> 27)) * 0x94D049BB133111EBL;
    return bits ^ (bits >>> 31);
  }
}
