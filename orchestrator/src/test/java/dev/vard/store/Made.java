package dev.vard.store;

import dev.vard.algorithm.DdpoState;
import dev.vard.algorithm.KlState;
import dev.vard.algorithm.Moments;
import dev.vard.algorithm.Progress;
import dev.vard.algorithm.Scored;
import dev.vard.algorithm.Step;
import dev.vard.algorithm.VardState;
import dev.vard.reward.Answer;
import dev.vard.reward.RewardMetrics;
import dev.vard.run.IterationMetrics;
import dev.vard.run.PhaseSeconds;
import dev.vard.run.RunEnd;
import dev.vard.run.RunEvent;
import dev.vard.run.RunEvent.Evaluated;
import dev.vard.run.RunEvent.PolicyMetrics;
import dev.vard.run.RunEvent.SampleSeconds;
import dev.vard.run.RunEvent.TimestepQuality;
import dev.vard.run.RunEvent.ValueMetrics;
import dev.vard.run.RunResult;
import dev.vard.run.RunState;
import dev.vard.run.RunStatus;
import dev.vard.statistics.Interval;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/** Runs and what they write down, made up. */
final class Made {
  private static final PhaseSeconds SECONDS = new PhaseSeconds(1, 0.1, 0.2, 3, 4, 8.3);

  private static final RewardMetrics SCORING =
      new RewardMetrics(
          List.of(
              new RewardMetrics.Part(
                  "size",
                  Double.NaN,
                  1,
                  2,
                  3,
                  4,
                  5,
                  6,
                  new RewardMetrics.Percentiles(0.1, 0.2, 0.3, 0.4),
                  new RewardMetrics.Percentiles(0, 0, 0, 0))),
          1,
          2.5,
          3.5,
          0.5,
          6 / 7.0);

  private Made() {}

  static Answer score(double score) {
    return new Answer.Scored(score);
  }

  static NewRun run(String id, String owner, int priority) {
    return new NewRun(id, "name of " + id, owner, "", "digest", "name: " + id + "\n", 8, priority);
  }

  static NewRun request(String id, String owner, String requestId, String digest) {
    return new NewRun(id, "name", owner, requestId, digest, "name: name\n", 8, 0);
  }

  /** A state with something in each of its parts, numbers that are none among them. */
  static RunState state(long step) {
    return new RunState(
        step,
        new VardState(
            new Progress(3, Step.COLLECT, 17, 64, 4),
            2,
            List.of(
                new Scored("1-0", 1, OptionalDouble.of(0.1)),
                new Scored("2-0", 2, OptionalDouble.of(-0.0)),
                new Scored("2-1", 2, OptionalDouble.empty())),
            new Moments(2, 1 / 3.0, Double.MIN_VALUE),
            new KlState(0.03, 20)),
        Optional.of(evaluated(0, 1.5)),
        Optional.of(evaluated(2, 0.1 + 0.2)),
        new IterationMetrics(
            List.of(1e300, 2.5),
            SCORING,
            List.of(new TimestepQuality(-1, Double.NaN, 0.5, Double.NaN)),
            Optional.of(new ValueMetrics(List.of(), Double.POSITIVE_INFINITY)),
            Optional.of(
                new PolicyMetrics(
                    1, 3, 4, Double.NaN, Map.of("objective", 2.0, "odd", Double.NaN))),
            SECONDS),
        SECONDS,
        Optional.empty());
  }

  static RunState ddpo(long step) {
    RunState state = state(step);
    return new RunState(
        step,
        new DdpoState(
            new Progress(1, Step.IMPROVE, 2, 8, 4),
            1,
            List.of(new Scored("1-0", 1, OptionalDouble.of(1))),
            Map.of("a cat", List.of(0.25), "a \"dog\"\n", List.of()),
            new KlState(1, 0)),
        Optional.empty(),
        Optional.empty(),
        state.iteration(),
        SECONDS,
        Optional.empty());
  }

  static RunState finished(RunState state) {
    return new RunState(
        state.step(),
        state.algorithm(),
        state.first(),
        state.last(),
        state.iteration(),
        state.seconds(),
        Optional.of(
            new RunResult(
                "run", 8, 64, 8, interval(1.5), interval(0.3), 20, SECONDS, "export", "c0ffee")));
  }

  static Evaluated evaluated(int iteration, double reward) {
    return new Evaluated(
        iteration,
        interval(reward),
        List.of(OptionalDouble.of(reward), OptionalDouble.empty()),
        12.5,
        List.of(12.0, 13.0),
        new SampleSeconds(1, 2, 3),
        SCORING);
  }

  static RunEvent event(int number) {
    return new RunEvent.Checkpointed(number, 1000, 0.5);
  }

  static RunEnd end(RunStatus status) {
    return new RunEnd(status, "CODE", "a reason", Optional.empty(), Optional.empty());
  }

  private static Interval interval(double mean) {
    return new Interval(mean, mean - 1, mean + 1);
  }
}
