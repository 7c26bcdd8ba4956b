package dev.vard.run;

import com.google.protobuf.ByteString;
import dev.vard.algorithm.Trajectory;
import dev.vard.proto.v1.ImageChunk;
import dev.vard.proto.v1.SampleRequest;
import dev.vard.reward.Answer;
import dev.vard.reward.Image;
import dev.vard.reward.RewardMetrics;
import dev.vard.reward.RewardQuery;
import dev.vard.reward.RewardRound;
import dev.vard.reward.RewardScorer;
import dev.vard.reward.Rewards;
import dev.vard.run.RunEvent.Phase;
import dev.vard.worker.WorkerClient;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;

/**
 * Draws images on the worker and has them scored while the next ones are drawn, and whatever else
 * is done until the scores are asked for.
 */
final class Sampling implements AutoCloseable {

  /**
   * Images that were drawn and put to the reward.
   *
   * @param kls of each trajectory in nats; empty unless the request measures them
   * @param seconds of the drawing
   */
  record Drawn(List<Double> kls, double seconds) {}

  /**
   * What the reward said.
   *
   * @param rewards of each trajectory, in their order; empty for those that were dropped
   * @param seconds of waiting for it
   */
  record Scores(List<OptionalDouble> rewards, RewardMetrics metrics, double seconds) {

    /** Those that there are. */
    List<Double> present() {
      return rewards.stream().flatMap(reward -> reward.stream().boxed()).toList();
    }
  }

  /** Takes each image beside the reward. */
  @FunctionalInterface
  interface ImageSink {
    void accept(int index, Image image);
  }

  /** A round that was begun. */
  private record Begun(RewardRound round, RewardLog log) {}

  /** How often listeners hear of scores that are awaited. */
  private static final Duration TELL_EVERY = Duration.ofMillis(500);

  private final WorkerClient worker;
  private final Rewards rewards;
  private final RewardScorer scorer;
  private final RewardSum sum;
  private final RunFolder folder;
  private final RunJournal journal;
  private final Deadlines deadlines;
  private final RunListener listener;
  private final Clock clock;
  private final PendingImages pending;
  private final Map<Integer, Begun> collections = new TreeMap<>();

  /**
   * @param rewards stay open when this is closed
   * @param due how many iterations' scores are waited for by the end of an iteration
   */
  Sampling(
      WorkerClient worker,
      Rewards rewards,
      IntUnaryOperator due,
      RunFolder folder,
      RunJournal journal,
      Deadlines deadlines,
      RunListener listener,
      Clock clock) {
    this.worker = worker;
    this.rewards = rewards;
    this.scorer = new RewardScorer(rewards);
    this.sum = new RewardSum(rewards.parts(), journal, due);
    this.folder = folder;
    this.journal = journal;
    this.deadlines = deadlines;
    this.listener = listener;
    this.clock = clock;
    this.pending = new PendingImages(folder.pending());
  }

  /**
   * Draws an iteration's trajectories. Their scores are to be asked for by {@link #score}.
   *
   * @param trajectories those of the request
   * @throws CancellationException if it was told to stop
   */
  Drawn collect(SampleRequest request, int iteration, List<Trajectory> trajectories) {
    Begun begun = begin(new Round(Round.Kind.COLLECT, iteration), trajectories.size());
    collections.put(iteration, begun);
    return draw(request, begun, iteration, Phase.SAMPLE, trajectories, (index, image) -> {});
  }

  /**
   * Waits for the scores of an iteration's trajectories.
   *
   * @throws InterruptedException if it was told to stop
   */
  Scores score(int iteration, List<Trajectory> trajectories) throws InterruptedException {
    Round round = new Round(Round.Kind.COLLECT, iteration);
    Begun begun = collections.get(iteration);
    if (begun == null) {
      begun = begin(round, trajectories.size());
      collections.put(iteration, begun);
      putKept(begun, iteration, trajectories);
    }
    long start = System.nanoTime();
    for (int left; (left = begun.round().await(TELL_EVERY)) > 0; ) {
      int queries = trajectories.size();
      listener.onEvent(new RunEvent.Progress(iteration, Phase.SCORE, queries - left, queries));
    }
    Scores scores = await(round, begun, start);
    collections.remove(iteration);
    pending.forget(iteration);
    return scores;
  }

  /** What an evaluation came to. */
  record Evaluation(Drawn drawn, Scores scores) {}

  /**
   * Draws an evaluation's images and waits for their scores.
   *
   * @param iteration iterations done
   * @throws InterruptedException if it was told to stop
   */
  Evaluation evaluate(
      SampleRequest request, int iteration, List<Trajectory> trajectories, ImageSink images)
      throws InterruptedException {
    Round round = new Round(Round.Kind.EVALUATE, iteration);
    Begun begun = begin(round, trajectories.size());
    try (RewardLog log = begun.log()) {
      Drawn drawn = draw(request, begun, iteration, Phase.EVALUATE, trajectories, images);
      return new Evaluation(drawn, await(round, begun, System.nanoTime()));
    }
  }

  /**
   * The rewards of a round that was awaited before.
   *
   * @param queries of the round
   */
  List<OptionalDouble> answered(Round round, int queries) {
    List<List<Answer>> answers = new ArrayList<>();
    for (int part = 0; part < rewards.parts().size(); part++) {
      Map<Integer, Answer> known = journal.answers(round.of(part));
      if (known.size() != queries) {
        throw new IllegalStateException(
            "the journal is past %s but has %d answers of %d"
                .formatted(round.of(part).key(), known.size(), queries));
      }
      answers.add(IntStream.range(0, queries).mapToObj(known::get).toList());
    }
    return sum.of(round, answers);
  }

  /** Keeps what is awaited, for whoever goes on from a checkpoint that is about to be written. */
  void keepPending() {
    collections.forEach((iteration, begun) -> pending.keep(iteration, begun.round().unanswered()));
  }

  private Begun begin(Round round, int queries) {
    RewardLog log = RewardLog.open(folder, journal, round, clock);
    List<Map<Integer, Answer>> known =
        IntStream.range(0, rewards.parts().size())
            .mapToObj(part -> journal.answers(round.of(part)))
            .toList();
    return new Begun(scorer.round(queries, known, log), log);
  }

  private Drawn draw(
      SampleRequest request,
      Begun begun,
      int iteration,
      Phase phase,
      List<Trajectory> trajectories,
      ImageSink images) {
    List<Double> kls = new ArrayList<>();
    long start = System.nanoTime();
    worker.sample(
        request,
        chunk -> {
          kls.addAll(chunk.getKlList());
          for (int i = 0; i < chunk.getShape(0); i++) {
            int index = chunk.getFirst() + i;
            Image image = image(chunk, i);
            put(begun, query(image, trajectories.get(index), iteration));
            images.accept(index, image);
          }
          listener.onEvent(
              new RunEvent.Progress(
                  iteration, phase, chunk.getFirst() + chunk.getShape(0), trajectories.size()));
        },
        deadlines.sample(trajectories.size()));
    deadlines.sampled(trajectories.size(), Duration.ofNanos(System.nanoTime() - start));
    return new Drawn(List.copyOf(kls), PhaseSeconds.since(start));
  }

  /** The images of a collection that lies before the checkpoint. */
  private void putKept(Begun begun, int iteration, List<Trajectory> trajectories) {
    for (int i = 0; i < trajectories.size(); i++) {
      if (!begun.round().addKnown()) {
        put(begun, query(pending.read(iteration, i), trajectories.get(i), iteration));
      }
    }
  }

  /**
   * @param start of the waiting, by {@link System#nanoTime}
   */
  private Scores await(Round round, Begun begun, long start) throws InterruptedException {
    try (RewardLog log = begun.log()) {
      List<List<Answer>> answers = begun.round().await();
      return new Scores(sum.of(round, answers), begun.round().metrics(), PhaseSeconds.since(start));
    }
  }

  private RewardQuery query(Image image, Trajectory trajectory, int iteration) {
    return new RewardQuery(
        image, trajectory.prompt(), trajectory.seed(), folder.runId(), iteration);
  }

  /** The worker's client passes on what its sink throws, if it is unchecked. */
  private static void put(Begun begun, RewardQuery query) {
    try {
      begun.round().add(query);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancellationException("interrupted while images waited for their scores");
    }
  }

  private static Image image(ImageChunk chunk, int index) {
    int height = chunk.getShape(1);
    int width = chunk.getShape(2);
    int size = height * width * chunk.getShape(3);
    ByteString pixels = chunk.getData().substring(index * size, (index + 1) * size);
    return Image.of(height, width, pixels.toByteArray());
  }

  @Override
  public void close() {
    scorer.close();
    collections.values().forEach(begun -> begun.log().close());
  }
}
