package dev.vard.reward;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.reward.RewardOutcome.Score;
import dev.vard.spec.AskingSpec;
import dev.vard.spec.AskingSpec.Range;
import dev.vard.spec.RewardSpec.Normalise;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class AskerTest {
  private static final Failure BUSY = new Failure("BUSY", "come back", true);
  private static final Failure REFUSED = new Failure("REFUSED", "never", false);

  /** A reward that gives what a test wrote down, call after call. */
  private static final class Scripted implements Reward {
    private final List<List<Long>> calls = new ArrayList<>();
    private final ArrayDeque<List<RewardOutcome>> script = new ArrayDeque<>();
    private Exception exception;

    Scripted then(RewardOutcome... outcomes) {
      script.add(List.of(outcomes));
      return this;
    }

    @Override
    public String name() {
      return "scripted";
    }

    @Override
    public Optional<Range> range() {
      return Optional.of(new Range(-10, 10));
    }

    @Override
    public List<RewardOutcome> score(List<RewardQuery> queries) throws Exception {
      calls.add(queries.stream().map(RewardQuery::seed).toList());
      if (exception != null) {
        throw exception;
      }
      return script.remove();
    }
  }

  /** Counts. */
  private static final class Counting implements Asker.Meter {
    private final AtomicBoolean goesOn = new AtomicBoolean(true);
    private int called;
    private int askedAgain;

    @Override
    public void called() {
      called++;
    }

    @Override
    public void answered(long nanos) {}

    @Override
    public void askedAgain(int queries) {
      askedAgain += queries;
    }

    @Override
    public boolean goesOn() {
      return goesOn.get();
    }
  }

  private final Scripted reward = new Scripted();
  private final Counting meter = new Counting();

  private Asker asker(int retries) {
    AskingSpec asking =
        new AskingSpec(
            Optional.empty(), Optional.empty(), Duration.ofSeconds(1), retries, Optional.empty());
    return new Asker(
        new Rewards.Part("scripted", 1, Normalise.NONE, asking, reward), Duration.ofMillis(1));
  }

  private static List<RewardQuery> queries(int count) {
    Image image = Image.of(1, 1, new byte[3]);
    return IntStream.range(0, count)
        .mapToObj(i -> new RewardQuery(image, "", i, "run", 1))
        .toList();
  }

  private List<RewardOutcome> ask(int retries, int count) {
    return asker(retries).ask(queries(count), meter);
  }

  @Test
  void shouldAskOnlyThoseAgainThatHaveNoScore() {
    reward.then(new Score(0), BUSY, new Score(2), BUSY).then(new Score(1), BUSY).then(new Score(3));

    assertThat(ask(5, 4)).containsExactly(new Score(0), new Score(1), new Score(2), new Score(3));
    assertThat(reward.calls).containsExactly(List.of(0L, 1L, 2L, 3L), List.of(1L, 3L), List.of(3L));
    assertThat(meter.called).isEqualTo(3);
    assertThat(meter.askedAgain).isEqualTo(3);
  }

  @Test
  void shouldNotAskAgainWhatIsRefused() {
    reward.then(new Score(0), REFUSED, BUSY).then(new Score(2));

    assertThat(ask(5, 3)).containsExactly(new Score(0), REFUSED, new Score(2));
    assertThat(reward.calls).containsExactly(List.of(0L, 1L, 2L), List.of(2L));
  }

  @Test
  void shouldGiveUpInTheEnd() {
    reward.then(BUSY).then(BUSY).then(BUSY);

    assertThat(ask(2, 1)).containsExactly(BUSY);
    assertThat(reward.calls).hasSize(3);
  }

  @Test
  void shouldAskOnceWithoutRetries() {
    reward.then(BUSY);

    assertThat(ask(0, 1)).containsExactly(BUSY);
  }

  @Test
  void shouldWaitAsLongAsTheRewardWants() {
    reward
        .then(new Failure("BUSY", "come back", true, Optional.of(Duration.ofMillis(300))))
        .then(new Score(1));
    long start = System.nanoTime();

    assertThat(ask(1, 1)).containsExactly(new Score(1));
    assertThat(System.nanoTime() - start).isGreaterThanOrEqualTo(300_000_000L);
  }

  @Test
  void shouldTellOnceWhatIsWaitedFor() {
    Failure busy = new Failure("BUSY", "quota", true, Optional.of(Duration.ofSeconds(5)));
    reward.then(busy).then(new Score(1));
    PrintStream err = System.err;
    ByteArrayOutputStream told = new ByteArrayOutputStream();
    System.setErr(new PrintStream(told, true, StandardCharsets.UTF_8));
    try {
      assertThat(ask(1, 1)).containsExactly(new Score(1));
    } finally {
      System.setErr(err);
    }

    assertThat(told.toString(StandardCharsets.UTF_8))
        .containsOnlyOnce("Reward scripted is asked again in 5 s: quota");
  }

  @Test
  void shouldNotWaitInPlaceForLongerThanAMinute() {
    Duration wish = Asker.LONGEST_IN_PLACE.plusMillis(1);
    Failure away = new Failure("BUSY", "away", true, Optional.of(wish));
    reward.then(away);

    assertThat(ask(5, 1)).containsExactly(away);
    assertThat(meter.askedAgain).isZero();
  }

  @Test
  void shouldBoundWhatAnyRewardWishes() {
    Duration day = Failure.LONGEST_RETRY_AFTER;

    assertThat(wish(Duration.ofSeconds(Long.MAX_VALUE))).contains(day);
    assertThat(wish(Duration.ofHours(2))).contains(Duration.ofHours(2));
    assertThat(wish(Duration.ZERO)).isEmpty();
    assertThat(wish(Duration.ofSeconds(Long.MIN_VALUE))).isEmpty();
  }

  private static Optional<Duration> wish(Duration retryAfter) {
    return new Failure("BUSY", "away", true, Optional.of(retryAfter)).retryAfter();
  }

  @Test
  void shouldTellOfNoRetriesWhereThereAreNone() {
    reward.then(BUSY, BUSY, BUSY);

    assertThat(ask(0, 3)).containsExactly(BUSY, BUSY, BUSY);
    assertThat(meter.called).isOne();
    assertThat(meter.askedAgain).isZero();
  }

  @Test
  void shouldAskAgainWhatMakesNoSenseAndThenRefuseItForGood() {
    reward.then(new Score(Double.NaN)).then(new Score(11)).then().then(new Score(1));
    assertThat(ask(5, 1)).containsExactly(new Score(1));

    reward.then(new Score(Double.NaN)).then(new Score(11));
    assertThat(ask(1, 1))
        .containsExactly(
            new Failure("OUT_OF_RANGE", "gave 11.0, which is not from -10.0 to 10.0", false));
  }

  @Test
  void shouldTakeTheSpecificationsRange() {
    AskingSpec asking =
        new AskingSpec(
            Optional.empty(),
            Optional.empty(),
            Duration.ofSeconds(1),
            0,
            Optional.of(new Range(0, 1)));
    Asker asker = new Asker(new Rewards.Part("scripted", 1, Normalise.NONE, asking, reward));
    reward.then(new Score(1), new Score(1.5));

    assertThat(asker.ask(queries(2), meter))
        .containsExactly(
            new Score(1),
            new Failure("OUT_OF_RANGE", "gave 1.5, which is not from 0.0 to 1.0", false));
  }

  @Test
  void shouldTakeATransportsExceptionForAFailureThatMayPass() {
    reward.exception = new IOException("connection reset");

    assertThat(ask(2, 2))
        .containsOnly(
            new Failure("UNAVAILABLE", "threw java.io.IOException: connection reset", true));
    assertThat(reward.calls).hasSize(3);
  }

  @Test
  void shouldTakeAnyOtherExceptionForADefect() {
    reward.exception = new IllegalStateException("no model");

    assertThat(ask(2, 1))
        .containsExactly(
            new Failure("THREW", "threw java.lang.IllegalStateException: no model", false));
    assertThat(reward.calls).hasSize(1);
  }

  @Test
  void shouldNotGoOnWhereItIsOfNoUse() {
    meter.goesOn.set(false);
    reward.then(BUSY);

    assertThat(ask(5, 1)).containsExactly(BUSY);
  }

  @Test
  void shouldLeaveARewardAloneThatIsDown() {
    Asker asker = asker(0);
    Stream.generate(() -> BUSY).limit(10).forEach(reward::then);
    Collections.nCopies(10, 1).forEach(one -> asker.ask(queries(1), meter));

    assertThat(asker.ask(queries(1), meter))
        .singleElement()
        .isInstanceOfSatisfying(
            Failure.class,
            failure -> {
              assertThat(failure.code()).isEqualTo("CIRCUIT_OPEN");
              assertThat(failure.retryable()).isTrue();
              assertThat(failure.retryAfter()).isPresent();
            });
    assertThat(reward.calls).hasSize(10);
  }
}
