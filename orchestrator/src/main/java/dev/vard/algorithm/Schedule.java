package dev.vard.algorithm;

import dev.vard.algorithm.Seeds.Purpose;
import dev.vard.spec.RunSpec;
import java.util.ArrayList;
import java.util.List;

/** Which trajectories an iteration draws, and when the model is evaluated on which. */
final class Schedule {
  private final Seeds seeds;
  private final List<String> prompts;
  private final int samples;
  private final RunSpec spec;

  Schedule(RunSpec spec) {
    this.seeds = new Seeds(spec.seed());
    this.prompts = spec.prompts().isEmpty() ? List.of("") : spec.prompts();
    this.samples = spec.algorithm().samples();
    this.spec = spec;
  }

  Seeds seeds() {
    return seeds;
  }

  int iterations() {
    return spec.iterations();
  }

  int staleness() {
    return spec.algorithm().staleness();
  }

  /** How many rounds have to be scored before an iteration may learn. */
  int due(int iteration) {
    return spec.due(iteration);
  }

  /**
   * Iteration k's trajectories. Prompts are dealt from shuffled decks, so that each comes equally
   * often.
   */
  List<Trajectory> training(int iteration) {
    List<Trajectory> trajectories = new ArrayList<>();
    int deck = -1;
    List<String> dealt = List.of();
    for (int i = 0; i < samples; i++) {
      long place = (iteration - 1L) * samples + i;
      int due = Math.toIntExact(place / prompts.size());
      if (due != deck) {
        deck = due;
        dealt = shuffled(deck);
      }
      trajectories.add(
          new Trajectory(
              iteration + "-" + i,
              dealt.get((int) (place % prompts.size())),
              seeds.of(Purpose.TRAJECTORY, iteration, i)));
    }
    return List.copyOf(trajectories);
  }

  /** The held-out trajectories, the same at every evaluation. */
  List<Trajectory> evaluation() {
    List<Trajectory> trajectories = new ArrayList<>();
    for (int i = 0; i < spec.evaluate().images(); i++) {
      trajectories.add(
          new Trajectory(
              "evaluation-" + i,
              prompts.get(i % prompts.size()),
              seeds.of(Purpose.EVALUATION, 0, i)));
    }
    return List.copyOf(trajectories);
  }

  /**
   * Fresh trajectories that the KL of an iteration's policy is measured on: of all prompts in turn.
   * Where an evaluation follows, of as many of its prompts as it has, so that both come to the same
   * but for the noise.
   */
  List<Trajectory> probes(int iteration, int count) {
    int images = spec.evaluate().images();
    boolean evaluated = evaluates(iteration) && images > count;
    long first = evaluated ? 0 : (iteration - 1L) * count;
    List<Trajectory> trajectories = new ArrayList<>();
    for (int i = 0; i < (evaluated ? images : count); i++) {
      trajectories.add(
          new Trajectory(
              "probe-" + i,
              prompts.get((int) ((first + i) % prompts.size())),
              seeds.of(Purpose.PROBE, iteration, i)));
    }
    return List.copyOf(trajectories);
  }

  /** Whether the model is evaluated after an iteration. */
  boolean evaluates(int iteration) {
    return iteration % spec.evaluate().every() == 0 || iteration == iterations();
  }

  /** Fisher and Yates. The modulo's bias, prompts / 2^63, is no matter. */
  private List<String> shuffled(int deck) {
    List<String> cards = new ArrayList<>(prompts);
    for (int i = cards.size() - 1; i > 0; i--) {
      int j = (int) (seeds.of(Purpose.PROMPTS, deck, i) % (i + 1));
      String card = cards.get(i);
      cards.set(i, cards.get(j));
      cards.set(j, card);
    }
    return cards;
  }
}
