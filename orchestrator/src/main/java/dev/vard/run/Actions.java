package dev.vard.run;

import dev.vard.algorithm.Action;
import dev.vard.algorithm.Algorithm;
import dev.vard.algorithm.Outcome;
import dev.vard.algorithm.Step;
import dev.vard.proto.v1.EvaluateResponse;
import dev.vard.proto.v1.FitValueResponse;
import dev.vard.proto.v1.ImprovePolicyResponse;
import dev.vard.run.RunEvent.Evaluated;
import dev.vard.run.RunEvent.Phase;
import dev.vard.run.RunEvent.SampleSeconds;
import dev.vard.statistics.Interval;
import dev.vard.worker.WorkerClient;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * How each kind of action is done: for the first time; again, on a session that was made of a
 * checkpoint; and what an error says was going on.
 */
final class Actions {

  /** Does an action for the first time. */
  @FunctionalInterface
  interface First {
    /**
     * @param state that asks for the action
     */
    Performed in(RunState state) throws InterruptedException;
  }

  /** Repeats an action: the worker is asked the same, the reward nothing that it answered. */
  @FunctionalInterface
  interface Again {
    Outcome come() throws InterruptedException;
  }

  /**
   * An action, and how it is done.
   *
   * @param doing for errors, as "while sampling in iteration 3"
   */
  record Task(Action action, String doing, First first, Again again) {}

  /** Before the session is where the run is. */
  static final Task OPENING = undoable(new Action.Finish(0), "while opening the model");

  /**
   * What an action came to.
   *
   * @param evaluated of an evaluation
   * @param iteration the iteration's metrics with the action's in them
   * @param seconds of the action; the total is added when it is committed
   */
  record Performed(
      Outcome outcome,
      Optional<Evaluated> evaluated,
      IterationMetrics iteration,
      PhaseSeconds seconds) {}

  private final WorkerClient worker;
  private final Requests requests;
  private final Sampling sampling;
  private final RunFolder folder;
  private final Deadlines deadlines;
  private final RunListener listener;

  Actions(
      WorkerClient worker,
      Requests requests,
      Sampling sampling,
      RunFolder folder,
      Deadlines deadlines,
      RunListener listener) {
    this.worker = worker;
    this.requests = requests;
    this.sampling = sampling;
    this.folder = folder;
    this.deadlines = deadlines;
    this.listener = listener;
  }

  /** The one place that tells the kinds of actions apart. */
  Task of(Algorithm<?> algorithm, Action action) {
    String in = action.iteration() == 0 ? "" : " in iteration " + action.iteration();
    return switch (action) {
      case Action.Evaluate evaluate ->
          new Task(
              action,
              "while evaluating after " + evaluate.iteration() + " iterations",
              state -> evaluate(evaluate, state.iteration()),
              () ->
                  new Outcome.Evaluated(
                      sampling.answered(
                          new Round(Round.Kind.EVALUATE, evaluate.iteration()),
                          evaluate.trajectories().size())));
      case Action.Collect collect ->
          new Task(
              action,
              "while sampling" + in,
              state -> collect(collect),
              () -> {
                // What was not answered yet is asked now; the rest is only drawn.
                draw(collect);
                return new Outcome.Collected();
              });
      case Action.Score score ->
          new Task(
              action,
              "while the scores of iteration " + score.round() + " were awaited",
              state -> score(algorithm, score, state.iteration()),
              () -> new Outcome.Rewarded(scores(algorithm, score).rewards()));
      case Action.AssessValue assess ->
          new Task(
              action,
              "while assessing the value" + in,
              state -> assess(assess, state.iteration()),
              Outcome.Assessed::new);
      case Action.FitValue fit ->
          new Task(
              action,
              "while fitting the value" + in,
              state -> {
                if (state.algorithm().progress().step() == Step.AHEAD) {
                  phase(fit.iteration(), Phase.VALUE);
                }
                return fit(fit, state.iteration());
              },
              () -> {
                fitValue(fit);
                return new Outcome.Fitted();
              });
      case Action.ImprovePolicy improve ->
          new Task(
              action,
              "while improving the policy" + in,
              state -> improve(improve, state.iteration()),
              () -> StepMetrics.outcome(improvePolicy(improve)));
      case Action.Release release ->
          new Task(
              action,
              "while releasing trajectories" + in,
              state ->
                  new Performed(
                      release(release), Optional.empty(), state.iteration(), PhaseSeconds.NONE),
              () -> release(release));
      case Action.Finish finish -> undoable(finish, "while exporting");
    };
  }

  /** What the engine does itself. */
  private static Task undoable(Action action, String doing) {
    return new Task(
        action,
        doing,
        state -> {
          throw new IllegalStateException("a run is opened and finished by its engine");
        },
        () -> {
          throw new IllegalStateException("a run that is finished is not gone on with");
        });
  }

  private Performed evaluate(Action.Evaluate action, IterationMetrics iteration)
      throws InterruptedException {
    phase(action.iteration(), Phase.EVALUATE);
    folder.writeEvaluation(action.trajectories());
    Sampling.Evaluation evaluation =
        sampling.evaluate(
            requests.sample(action),
            action.iteration(),
            action.trajectories(),
            (index, image) -> folder.writeSample(action.iteration(), index, image));
    Sampling.Scores scores = evaluation.scores();
    List<Double> kls = evaluation.drawn().kls();
    SampleSeconds seconds =
        new SampleSeconds(evaluation.drawn().seconds(), scores.seconds(), scores.metrics().busy());
    Evaluated evaluated =
        new Evaluated(
            action.iteration(),
            Interval.of(scores.present()),
            scores.rewards(),
            StepMetrics.mean(kls, Double::doubleValue),
            kls,
            seconds,
            scores.metrics());
    return new Performed(
        new Outcome.Evaluated(scores.rewards()),
        Optional.of(evaluated),
        iteration,
        PhaseSeconds.of(seconds));
  }

  private Performed collect(Action.Collect action) {
    phase(action.iteration(), Phase.SAMPLE);
    Sampling.Drawn drawn = draw(action);
    return new Performed(
        new Outcome.Collected(),
        Optional.empty(),
        IterationMetrics.NONE,
        PhaseSeconds.ofSampling(drawn.seconds()));
  }

  private Sampling.Drawn draw(Action.Collect action) {
    return sampling.collect(requests.sample(action), action.iteration(), action.trajectories());
  }

  private Performed score(Algorithm<?> algorithm, Action.Score action, IterationMetrics iteration)
      throws InterruptedException {
    phase(action.iteration(), Phase.SCORE);
    Sampling.Scores scores = scores(algorithm, action);
    return new Performed(
        new Outcome.Rewarded(scores.rewards()),
        Optional.empty(),
        iteration.with(scores.present(), scores.metrics()),
        PhaseSeconds.ofScoring(scores.seconds(), scores.metrics().busy()));
  }

  private Sampling.Scores scores(Algorithm<?> algorithm, Action.Score action)
      throws InterruptedException {
    return sampling.score(action.round(), algorithm.trajectories(action.round()));
  }

  private Performed assess(Action.AssessValue action, IterationMetrics iteration) {
    phase(action.iteration(), Phase.VALUE);
    long start = System.nanoTime();
    int trajectories = action.targets().size();
    EvaluateResponse response =
        worker.evaluate(requests.assess(action), deadlines.assess(trajectories));
    deadlines.assessed(trajectories, Duration.ofNanos(System.nanoTime() - start));
    return new Performed(
        new Outcome.Assessed(),
        Optional.empty(),
        iteration.with(StepMetrics.of(response)),
        PhaseSeconds.ofValue(PhaseSeconds.since(start)));
  }

  private Performed fit(Action.FitValue action, IterationMetrics iteration) {
    long start = System.nanoTime();
    FitValueResponse response = fitValue(action);
    return new Performed(
        new Outcome.Fitted(),
        Optional.empty(),
        iteration.with(StepMetrics.of(response, iteration.quality())),
        PhaseSeconds.ofValue(PhaseSeconds.since(start)));
  }

  private Performed improve(Action.ImprovePolicy action, IterationMetrics iteration) {
    phase(action.iteration(), Phase.POLICY);
    long start = System.nanoTime();
    ImprovePolicyResponse response = improvePolicy(action);
    return new Performed(
        StepMetrics.outcome(response),
        Optional.empty(),
        iteration.with(StepMetrics.of(response, action.klWeight())),
        PhaseSeconds.ofPolicy(PhaseSeconds.since(start)));
  }

  private FitValueResponse fitValue(Action.FitValue action) {
    long start = System.nanoTime();
    FitValueResponse response =
        worker.fitValue(requests.fit(action), deadlines.fit(action.steps(), action.batch()));
    deadlines.fitted(action.steps(), action.batch(), Duration.ofNanos(System.nanoTime() - start));
    return response;
  }

  private ImprovePolicyResponse improvePolicy(Action.ImprovePolicy action) {
    long start = System.nanoTime();
    long passes = requests.passes(action);
    ImprovePolicyResponse response =
        worker.improvePolicy(requests.improve(action), deadlines.improve(passes));
    deadlines.improved(passes, Duration.ofNanos(System.nanoTime() - start));
    return response;
  }

  private Outcome.Released release(Action.Release action) {
    worker.release(requests.release(action), Deadlines.RELEASE);
    return new Outcome.Released();
  }

  private void phase(int iteration, Phase phase) {
    listener.onEvent(new RunEvent.PhaseStarted(iteration, phase));
  }
}
