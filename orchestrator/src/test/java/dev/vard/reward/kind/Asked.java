package dev.vard.reward.kind;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.vard.reward.Image;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.AskingSpec;
import dev.vard.spec.RewardSource;
import dev.vard.spec.RewardSource.Access;
import dev.vard.spec.RewardSpec;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.zip.CRC32;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;

/** What tests of rewards ask, and the score that servers and tests compute alike. */
final class Asked {
  static final Duration PATIENCE = Duration.ofSeconds(20);

  private Asked() {}

  /** Pixels that no one would guess, and a prompt beyond ASCII. */
  static RewardQuery query(long seed) {
    return query(seed, 5, 7);
  }

  static RewardQuery query(long seed, int height, int width) {
    byte[] rgb = new byte[height * width * 3];
    new Random(seed).nextBytes(rgb);
    return new RewardQuery(Image.of(height, width, rgb), "ein Käse №" + seed, seed, "run-1", 3);
  }

  static List<RewardQuery> queries(int count) {
    return IntStream.range(0, count).mapToObj(Asked::query).toList();
  }

  /** Depends on every pixel, on the size and on the prompt; exact in a double. */
  static double score(byte[] rgb, int height, int width, String prompt) {
    CRC32 crc = new CRC32();
    crc.update(rgb);
    crc.update((height + "x" + width + prompt).getBytes(StandardCharsets.UTF_8));
    return crc.getValue() / 7.0 - 1e8;
  }

  static double score(RewardQuery query) {
    Image image = query.image();
    return score(image.toBytes(), image.height(), image.width(), query.prompt());
  }

  static AskingSpec asking(Duration timeout) {
    return new AskingSpec(Optional.of(4), Optional.of(4), timeout, 10, Optional.empty());
  }

  static RewardSpec.Part part(RewardSource source, AskingSpec asking) {
    return new RewardSpec.Part("mine", 1, RewardSpec.Normalise.NONE, source, asking);
  }

  /**
   * @param variables the environment
   */
  static RewardEnvironment environment(Path plugins, Map<String, String> variables) {
    return new RewardEnvironment(
        plugins,
        () -> {
          throw new IllegalStateException("needs no Python");
        },
        Path.of("nowhere.log"),
        name -> Optional.ofNullable(variables.get(name)));
  }

  static Access withToken(boolean tls, Optional<Path> ca) {
    return new Access(tls, ca, Optional.of("VARD_REWARD_TOKEN"));
  }

  /** What a right answer to them is. */
  static List<RewardOutcome> scores(List<RewardQuery> queries) {
    return queries.stream()
        .<RewardOutcome>map(query -> new RewardOutcome.Score(score(query)))
        .toList();
  }

  /** Of two queries that fail alike. */
  static RewardOutcome.Failure failure(Reward reward) throws Exception {
    List<RewardOutcome> outcomes = reward.score(queries(2));
    assertThat(outcomes).hasSize(2).containsOnly(outcomes.getFirst());
    return (RewardOutcome.Failure) outcomes.getFirst();
  }

  /** Of a reward that cannot be opened. */
  static RewardException refusal(ThrowingCallable opening) {
    RewardException refusal = catchThrowableOfType(RewardException.class, opening);
    assertThat(refusal).as("the refusal").isNotNull();
    return refusal;
  }
}
