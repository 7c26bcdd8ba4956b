package dev.vard.algorithm;

import dev.vard.algorithm.Seeds.Purpose;
import dev.vard.spec.AlgorithmSpec.DdpoSpec;
import dev.vard.spec.PolicySpec;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalDouble;

/**
 * DDPO (Black et al., "Training Diffusion Models with Reinforcement Learning", 2023): a policy
 * gradient with PPO's clipped ratio and advantages normalised per prompt, as the authors' code does
 * it.
 */
public final class Ddpo implements Algorithm<DdpoState> {
  /**
   * E[max(−A r, −A clip(r, 1 − ε, 1 + ε))] + η E[KL_t], r the likelihood ratio of the recorded
   * x_{t-1}: the worker's.
   */
  static final String OBJECTIVE = "clipped-ratio";

  /** A prompt's statistics are of its last so many rewards. */
  static final int HISTORY = 32;

  /** With fewer rewards than this a prompt goes by the iteration's mean and deviation. */
  static final int ENOUGH = 16;

  private final DdpoSpec spec;
  private final Schedule schedule;
  private final KlController controller;

  Ddpo(DdpoSpec spec, Schedule schedule) {
    this.spec = spec;
    this.schedule = schedule;
    this.controller = new KlController(spec.kl());
  }

  @Override
  public Class<DdpoState> stateType() {
    return DdpoState.class;
  }

  @Override
  public DdpoState start() {
    return new DdpoState(Progress.START, 0, List.of(), Map.of(), controller.start());
  }

  @Override
  public List<Trajectory> trajectories(int iteration) {
    return schedule.training(iteration);
  }

  @Override
  public Action action(DdpoState state) {
    PolicySpec policy = spec.policy();
    int iteration = state.progress().iteration();
    long operation = state.progress().operation() + 1;
    return switch (state.progress().step()) {
      case EVALUATE -> new Action.Evaluate(iteration, schedule.evaluation());
      case COLLECT -> new Action.Collect(iteration, operation, schedule.training(iteration));
      case SCORE -> new Action.Score(iteration, state.scored() + 1);
      case IMPROVE -> {
        int first = schedule.staleness() + 1;
        double rate = policy.learningRate(iteration, first, schedule.iterations());
        yield new Action.ImprovePolicy(
            iteration,
            operation,
            rewarded(state).stream().map(Scored::id).toList(),
            policy.steps(),
            policy.batch(),
            rate,
            rate * policy.phaseRate(),
            policy.maxGradientNorm(),
            schedule.seeds().of(Purpose.IMPROVE, iteration, 0),
            state.kl().weight(),
            controller.budget(schedule, iteration),
            new Objective(
                OBJECTIVE, Map.of("clip", spec.clip()), Map.of("advantage", advantages(state))));
      }
      case RELEASE ->
          new Action.Release(iteration, operation, state.fresh().stream().map(Scored::id).toList());
      case FINISH -> new Action.Finish(iteration);
      case AHEAD, ASSESS, FIT ->
          throw new IllegalArgumentException(
              "DDPO has no value network to " + state.progress().step());
    };
  }

  @Override
  public DdpoState next(DdpoState state, Outcome outcome) {
    Progress progress = state.progress();
    return switch (outcome) {
      case Outcome.Evaluated(List<OptionalDouble> rewards)
          when progress.step() == Step.EVALUATE -> {
        Progress evaluated = progress.evaluated(rewards.size());
        yield state.with(
            progress.iteration() == schedule.iterations()
                ? evaluated.to(Step.FINISH)
                : evaluated.nextIteration());
      }
      case Outcome.Collected() when progress.step() == Step.COLLECT ->
          toScore(state.with(progress.changed(Step.SCORE)));
      case Outcome.Rewarded(List<OptionalDouble> rewards) when progress.step() == Step.SCORE ->
          toScore(rewarded(state, rewards));
      case Outcome.Improved improved when progress.step() == Step.IMPROVE ->
          new DdpoState(
              progress.changed(Step.RELEASE),
              state.scored(),
              state.fresh(),
              state.history(),
              controller.next(state.kl(), improved));
      case Outcome.Released() when progress.step() == Step.RELEASE -> {
        yield new DdpoState(
            afterRelease(progress.changed(Step.RELEASE)),
            state.scored(),
            List.of(),
            state.history(),
            state.kl());
      }
      case Outcome other ->
          throw new IllegalArgumentException(
              "a run at " + progress.step() + " cannot go on with " + other);
    };
  }

  private Progress afterRelease(Progress progress) {
    return schedule.evaluates(progress.iteration())
        ? progress.to(Step.EVALUATE)
        : progress.nextIteration();
  }

  /** Waits for what is due, then learns; where nothing is due, there is nothing to learn from. */
  private DdpoState toScore(DdpoState state) {
    Progress progress = state.progress();
    if (state.scored() < schedule.due(progress.iteration())) {
      return state.with(progress.to(Step.SCORE));
    }
    return state.fresh().isEmpty()
        ? state.with(afterRelease(progress))
        : state.with(progress.to(Step.IMPROVE));
  }

  private DdpoState rewarded(DdpoState state, List<OptionalDouble> rewards) {
    int round = state.scored() + 1;
    List<Trajectory> trajectories = schedule.training(round);
    List<Scored> fresh = new ArrayList<>(state.fresh());
    fresh.addAll(Scored.round(round, trajectories, rewards));
    Map<String, List<Double>> history = new HashMap<>(state.history());
    for (int i = 0; i < rewards.size(); i++) {
      if (rewards.get(i).isPresent()) {
        String prompt = trajectories.get(i).prompt();
        List<Double> last = new ArrayList<>(history.getOrDefault(prompt, List.of()));
        last.add(rewards.get(i).getAsDouble());
        history.put(
            prompt, List.copyOf(last.subList(Math.max(0, last.size() - HISTORY), last.size())));
      }
    }
    return new DdpoState(
        state.progress().scored(rewards.size(), Step.SCORE), round, fresh, history, state.kl());
  }

  /** Of the trajectories that got their scores in this iteration, those that were not left out. */
  private static List<Scored> rewarded(DdpoState state) {
    return state.fresh().stream().filter(scored -> scored.reward().isPresent()).toList();
  }

  private List<Double> advantages(DdpoState state) {
    List<Scored> rewarded = rewarded(state);
    Moments batch =
        Moments.of(rewarded.stream().map(scored -> scored.reward().getAsDouble()).toList());
    Map<String, String> prompts = new HashMap<>();
    rewarded.stream()
        .map(Scored::iteration)
        .distinct()
        .flatMap(round -> schedule.training(round).stream())
        .forEach(trajectory -> prompts.put(trajectory.id(), trajectory.prompt()));
    List<Double> advantages = new ArrayList<>();
    for (Scored scored : rewarded) {
      List<Double> own = Objects.requireNonNull(state.history().get(prompts.get(scored.id())));
      Moments moments = own.size() >= ENOUGH ? Moments.of(own) : batch;
      double advantage = moments.normalise(scored.reward().getAsDouble());
      advantages.add(Math.clamp(advantage, -spec.advantageClip(), spec.advantageClip()));
    }
    return advantages;
  }
}
