package dev.vard.algorithm;

import dev.vard.spec.AlgorithmSpec.DdpoSpec;
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
public final class Ddpo extends IterationLoop<DdpoState> {
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

  Ddpo(DdpoSpec spec, Schedule schedule) {
    super(spec, schedule);
    this.spec = spec;
  }

  @Override
  public Class<DdpoState> stateType() {
    return DdpoState.class;
  }

  @Override
  public DdpoState start() {
    return new DdpoState(Progress.START, 0, List.of(), Map.of(), startOfKl());
  }

  @Override
  int warmup() {
    return 0;
  }

  @Override
  Step firstStep() {
    return Step.IMPROVE;
  }

  @Override
  Action learn(DdpoState state) {
    throw new IllegalArgumentException("DDPO has no value network to " + state.progress().step());
  }

  @Override
  DdpoState learned(DdpoState state, Outcome outcome) {
    throw unfit(state, outcome);
  }

  @Override
  List<String> toImprove(DdpoState state) {
    return rewarded(state).stream().map(Scored::id).toList();
  }

  @Override
  Objective objective(DdpoState state) {
    return new Objective(
        OBJECTIVE, Map.of("clip", spec.clip()), Map.of("advantage", advantages(state)));
  }

  @Override
  List<Scored> expired(DdpoState state) {
    return state.fresh();
  }

  @Override
  DdpoState forgotten(DdpoState state) {
    return new DdpoState(state.progress(), state.scored(), List.of(), state.history(), state.kl());
  }

  @Override
  DdpoState rewarded(DdpoState state, int round, List<OptionalDouble> rewards) {
    List<Trajectory> trajectories = trajectories(round);
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
    return new DdpoState(state.progress(), round, fresh, history, state.kl());
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
        .flatMap(round -> trajectories(round).stream())
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
