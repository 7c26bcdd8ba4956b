package dev.vard.cli;

import dev.vard.reward.RewardMetrics;
import dev.vard.run.RunEvent;
import dev.vard.run.RunEvent.Evaluated;
import dev.vard.run.RunEvent.IterationFinished;
import dev.vard.run.RunEvent.PhaseStarted;
import dev.vard.run.RunEvent.Started;
import dev.vard.run.RunListener;
import dev.vard.run.RunStatus;
import dev.vard.statistics.Interval;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressState;

/**
 * Shows how far a run is: a bar on a terminal, elsewhere a line for each iteration and evaluation.
 *
 * <p>To be closed, so that what is printed next starts on a line of its own.
 */
final class ConsoleProgress implements RunListener, AutoCloseable {
  private static final int BAR = 24;

  /**
   * An iteration's share of the bar: sampling, value and policy each count as many units as there
   * are samples. The three take about as long as each other, which is what makes the time left
   * believable.
   */
  private static final int PHASES = 3;

  /** A remote reward's, not one that computes here and is done at once. */
  private static final double NOTABLE_SECONDS = 0.5;

  private final PrintStream out;
  private final boolean terminal;
  private Optional<Started> run = Optional.empty();
  private Optional<ProgressBar> bar = Optional.empty();
  private Optional<TerminalLine> line = Optional.empty();
  private OptionalDouble reward = OptionalDouble.empty();
  private OptionalDouble kl = OptionalDouble.empty();
  private String scoring = "";
  private int queries;
  private int iterationsDone;
  private int evaluationsDone;
  private int iterationsSeen;
  private double iterationSeconds;

  /** Units that an earlier life of the run did, in time that is not this one's. */
  private volatile long before;

  /** Loading the model, and repeating what a checkpoint lacks, say nothing of the time left. */
  private volatile Duration opening = Duration.ZERO;

  private boolean placed;

  /**
   * @param terminal whether {@code out} can draw over what it has written
   */
  ConsoleProgress(PrintStream out, boolean terminal) {
    this.out = out;
    this.terminal = terminal;
  }

  /** On standard error, which stays free of results. */
  static ConsoleProgress onStandardError() {
    return new ConsoleProgress(System.err, Terminal.hasError());
  }

  @Override
  public void onEvent(RunEvent event) {
    switch (event) {
      case Started started -> start(started);
      case PhaseStarted(int iteration, RunEvent.Phase phase) -> show(iteration, phase, 0, 0);
      case RunEvent.Progress(int iteration, RunEvent.Phase phase, int done, int total) ->
          show(iteration, phase, done, total);
      case Evaluated evaluation -> evaluated(evaluation);
      case IterationFinished iteration -> iterated(iteration);
      case RunEvent.Finished finished -> close();
      case RunEvent.StateChanged changed -> moved(changed);
      case RunEvent.Checkpointed checkpointed -> {}
      case RunEvent.Recovered recovered -> recovered(recovered);
      case RunEvent.Warned(int iteration, String code, String message) ->
          print("warning: %s: %s", code, message);
    }
  }

  private void moved(RunEvent.StateChanged changed) {
    if (changed.to() == RunStatus.PAUSED) {
      print("paused, and tries again by itself: %s", changed.reason());
    } else if (changed.to().ended()) {
      close();
    }
  }

  private void recovered(RunEvent.Recovered recovered) {
    print(
        "%s: the run goes on from %s (%s)",
        recovered.reasonCode(),
        recovered.iteration() == 0 ? "its start" : "iteration " + recovered.iteration(),
        recovered.reason());
  }

  private void start(Started started) {
    run = Optional.of(started);
    if (terminal) {
      long units =
          (long) started.iterations() * PHASES * started.samples()
              + (long) started.evaluations() * started.evaluationImages();
      TerminalLine drawn = TerminalLine.on(out);
      line = Optional.of(drawn);
      bar =
          Optional.of(
              new ProgressBarBuilder()
                  .setInitialMax(units)
                  .setUpdateIntervalMillis(250)
                  .setConsumer(drawn)
                  .setRenderer(this::render)
                  .build());
    } else {
      print(
          "%s: %s, %d iterations of %d samples, %d evaluations of %d images, seed %d",
          started.runId(),
          started.algorithm(),
          started.iterations(),
          started.samples(),
          started.evaluations(),
          started.evaluationImages(),
          started.seed());
    }
  }

  private void show(int iteration, RunEvent.Phase phase, int images, int total) {
    if (!placed && phase != RunEvent.Phase.OPEN && phase != RunEvent.Phase.EXPORT) {
      placed = true;
      run.ifPresent(started -> place(started, iteration, phase));
    }
    bar.ifPresent(
        line -> {
          line.stepTo(units() + within(phase, images));
          line.setExtraMessage(
              "%d/%d %s%s%s"
                  .formatted(
                      iteration,
                      iterations(),
                      phase.name().toLowerCase(Locale.ROOT),
                      phase == RunEvent.Phase.SCORE && total > 0 ? " " + images + "/" + total : "",
                      measures()));
        });
  }

  /** A run that is resumed begins in its middle. */
  private void place(Started started, int iteration, RunEvent.Phase phase) {
    boolean evaluates = phase == RunEvent.Phase.EVALUATE;
    iterationsDone = evaluates ? iteration : Math.max(0, iteration - 1);
    // Evaluations lie at equal distances, the first before all iterations and the last after.
    double passed = (started.evaluations() - 1.0) * iterationsDone / started.iterations();
    evaluationsDone = (int) (evaluates ? Math.ceil(passed) : Math.floor(passed) + 1);
    before = units();
    opening = bar.map(ProgressBar::getElapsedAfterStart).orElse(Duration.ZERO);
  }

  /** Units of the iteration or evaluation in progress. */
  private int within(RunEvent.Phase phase, int images) {
    int samples = run.map(Started::samples).orElse(0);
    return switch (phase) {
      case OPEN, EXPORT -> 0;
      case SAMPLE, EVALUATE -> images;
      case SCORE, VALUE -> samples;
      case POLICY -> 2 * samples;
    };
  }

  /** Units of what is done. */
  private long units() {
    return run.map(
            started ->
                (long) iterationsDone * PHASES * started.samples()
                    + (long) evaluationsDone * started.evaluationImages())
        .orElse(0L);
  }

  private void evaluated(Evaluated evaluation) {
    evaluationsDone++;
    reward = OptionalDouble.of(evaluation.reward().mean());
    kl = OptionalDouble.of(evaluation.klPerTrajectory());
    scoring = scoring(evaluation.scoring());
    bar.ifPresent(line -> line.stepTo(units()));
    if (!terminal) {
      Interval interval = evaluation.reward();
      print(
          "evaluation %d/%d%s  95 %% %.4g to %.4g",
          evaluation.iteration(), iterations(), measures(), interval.low(), interval.high());
    }
  }

  private void iterated(IterationFinished iteration) {
    iterationsDone = iteration.iteration();
    iterationsSeen++;
    iterationSeconds += iteration.seconds().total();
    queries = iteration.rewardQueries();
    reward = OptionalDouble.of(iteration.reward().mean());
    scoring = scoring(iteration.scoring());
    iteration.policy().ifPresent(policy -> kl = OptionalDouble.of(policy.klPerTrajectory()));
    bar.ifPresent(line -> line.stepTo(units()));
    if (!terminal) {
      double left = iterationSeconds / iterationsSeen * (iterations() - iterationsDone);
      print(
          "iteration %d/%d %s%s  took %s%s",
          iteration.iteration(),
          iterations(),
          iteration.phase(),
          measures(),
          Readable.duration(iteration.seconds().total()),
          left > 0 ? "  left about " + Readable.duration(left) : "");
    }
  }

  private int iterations() {
    return run.map(Started::iterations).orElse(0);
  }

  private String measures() {
    StringBuilder text = new StringBuilder();
    reward.ifPresent(mean -> text.append(format("  reward %.4g", mean)));
    kl.ifPresent(
        nats -> {
          text.append(format("  KL %.1f", nats));
          run.map(Started::klBudget)
              .ifPresent(
                  budget -> budget.ifPresent(most -> text.append("/" + Readable.given(most))));
          text.append(" nats");
        });
    return text.append(format("  queries %d", queries)).append(scoring).toString();
  }

  /** What is worth knowing of how the scores were had: nothing where they cost no time. */
  private static String scoring(RewardMetrics metrics) {
    StringBuilder text = new StringBuilder();
    if (metrics.seconds() >= NOTABLE_SECONDS) {
      text.append(
          format(
              "  scored in %s, %.0f %% hidden",
              Readable.duration(metrics.seconds()), 100 * metrics.overlap()));
    }
    int retried = metrics.parts().stream().mapToInt(RewardMetrics.Part::retried).sum();
    if (retried > 0) {
      text.append(format("  retried %d", retried));
    }
    if (metrics.dropped() > 0) {
      text.append(format("  dropped %d", metrics.dropped()));
    }
    return text.toString();
  }

  private String render(ProgressState state, int width) {
    return line(
        state.getNormalizedProgress(),
        (double) before / state.getMax(),
        state.getElapsedAfterStart().minus(opening),
        state.getExtraMessage(),
        width);
  }

  /**
   * The bar's line.
   *
   * @param done between 0 and 1
   * @param before what of it was done before the time that elapsed
   * @param width columns; what is beyond them is cut off
   */
  static String line(double done, double before, Duration elapsed, String message, int width) {
    int filled = (int) Math.round(done * BAR);
    String text =
        format("[%s%s] %3.0f %%  ", "=".repeat(filled), " ".repeat(BAR - filled), 100 * done)
            + message;
    if (done > before && done < 1) {
      double seconds = elapsed.toMillis() / 1000.0 * (1 - done) / (done - before);
      text += "  left " + Readable.duration(seconds);
    }
    return text.length() > width ? text.substring(0, Math.max(0, width)) : text;
  }

  private void print(String format, Object... values) {
    String text = format(format, values);
    line.ifPresentOrElse(drawn -> drawn.leave(text), () -> out.println(text));
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }

  @Override
  public void close() {
    bar.ifPresent(ProgressBar::close);
    bar = Optional.empty();
    line = Optional.empty();
  }
}
