package dev.vard.cli.client;

import dev.vard.cli.Readable;
import dev.vard.proto.v1.Interval;
import dev.vard.proto.v1.IterationFinished;
import dev.vard.proto.v1.Recovered;
import dev.vard.proto.v1.Run;
import dev.vard.proto.v1.RunEvaluated;
import dev.vard.proto.v1.RunEvent;
import dev.vard.proto.v1.RunFinished;
import dev.vard.proto.v1.RunStarted;
import dev.vard.proto.v1.StateChanged;
import dev.vard.text.Printable;
import java.util.Locale;
import java.util.OptionalDouble;

/**
 * A run's events as lines for people, in the manner of {@code vard run}. Remembers what later lines
 * need; what it did not see, because it began in the middle, is left out.
 */
final class EventLines {
  private final Times times;
  private int iterations;
  private int queries;
  private OptionalDouble klBudget = OptionalDouble.empty();
  private OptionalDouble reward = OptionalDouble.empty();
  private OptionalDouble kl = OptionalDouble.empty();
  private int iterationsSeen;
  private double secondsSeen;

  EventLines(Run run, Times times) {
    this.times = times;
    this.iterations = run.getIterations();
  }

  /** Led by the time and by the number that {@code --after} takes. */
  String line(RunEvent event) {
    return "%s  #%-4d  %s"
        .formatted(times.show(event.getTime()), event.getSequence(), Printable.line(text(event)));
  }

  private String text(RunEvent event) {
    return switch (event.getEventCase()) {
      case STARTED -> started(event.getStarted());
      case EVALUATED -> evaluated(event.getEvaluated());
      case ITERATION -> iterated(event.getIteration());
      case FINISHED -> finished(event.getFinished());
      case STATE_CHANGED -> moved(event.getStateChanged());
      case CHECKPOINTED ->
          format(
              "checkpoint %d/%d  %s in %s",
              event.getCheckpointed().getIteration(),
              iterations,
              Readable.bytes(event.getCheckpointed().getBytes()),
              Readable.duration(event.getCheckpointed().getSeconds()));
      case RECOVERED -> recovered(event.getRecovered());
      case WARNED ->
          "warning" + reason(event.getWarned().getCode(), event.getWarned().getMessage());
      case EVENT_NOT_SET -> "something that this version of vard does not know";
    };
  }

  private String started(RunStarted run) {
    iterations = run.getIterations();
    klBudget = run.hasKlBudget() ? OptionalDouble.of(run.getKlBudget()) : OptionalDouble.empty();
    return format(
        "%s: %s, %d iterations of %d samples, %d evaluations of %d images, seed %s",
        run.getRunId(),
        run.getAlgorithm(),
        run.getIterations(),
        run.getSamples(),
        run.getEvaluations(),
        run.getEvaluationImages(),
        Long.toUnsignedString(run.getSeed()));
  }

  private String evaluated(RunEvaluated evaluation) {
    Interval interval = evaluation.getReward();
    reward = OptionalDouble.of(interval.getMean());
    kl = OptionalDouble.of(evaluation.getKlPerTrajectory());
    return format(
        "evaluation %d/%d%s  95 %% %.4g to %.4g",
        evaluation.getIteration(), iterations, measures(), interval.getLow(), interval.getHigh());
  }

  private String iterated(IterationFinished iteration) {
    reward = OptionalDouble.of(iteration.getReward().getMean());
    if (iteration.hasPolicy()) {
      kl = OptionalDouble.of(iteration.getPolicy().getKlPerTrajectory());
    }
    queries = iteration.getRewardQueries();
    iterationsSeen++;
    secondsSeen += iteration.getSeconds().getTotal();
    double left = secondsSeen / iterationsSeen * (iterations - iteration.getIteration());
    return format(
        "iteration %d/%d %s%s  took %s%s",
        iteration.getIteration(),
        iterations,
        iteration.getPhase(),
        measures(),
        Readable.duration(iteration.getSeconds().getTotal()),
        left > 0 ? "  left about " + Readable.duration(left) : "");
  }

  private String finished(RunFinished end) {
    return format(
        "finished  reward %.4g -> %.4g  KL %.1f nats  queries %d for training, %d for evaluation"
            + "  took %s",
        end.getRewardBefore().getMean(),
        end.getRewardAfter().getMean(),
        end.getKlPerTrajectory(),
        end.getRewardQueries(),
        end.getEvaluationQueries(),
        Readable.duration(end.getSeconds().getTotal()));
  }

  private static String moved(StateChanged change) {
    // A run that was cancelled has that for its code, too.
    String code = change.getReasonCode();
    return States.name(change.getTo())
        + reason(code.equals(change.getTo().name()) ? "" : code, change.getReason());
  }

  private static String recovered(Recovered recovered) {
    return "goes on from "
        + (recovered.getIteration() == 0 ? "its start" : "iteration " + recovered.getIteration())
        + reason(recovered.getReasonCode(), recovered.getReason());
  }

  /** As {@code : WORKER_UNAVAILABLE: the worker has ended}; nothing where there is no reason. */
  private static String reason(String code, String reason) {
    return (code.isEmpty() ? "" : ": " + code) + (reason.isEmpty() ? "" : ": " + reason);
  }

  private String measures() {
    StringBuilder text = new StringBuilder();
    reward.ifPresent(mean -> text.append(format("  reward %.4g", mean)));
    kl.ifPresent(
        nats -> {
          text.append(format("  KL %.1f", nats));
          klBudget.ifPresent(most -> text.append("/").append(Readable.given(most)));
          text.append(" nats");
        });
    return text.append(format("  queries %d", queries)).toString();
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
