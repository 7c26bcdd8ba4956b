package dev.vard.run;

import com.google.protobuf.ByteString;
import dev.vard.algorithm.Trajectory;
import dev.vard.proto.v1.ImageChunk;
import dev.vard.proto.v1.SampleRequest;
import dev.vard.reward.Image;
import dev.vard.reward.RewardQuery;
import dev.vard.reward.RewardScorer;
import dev.vard.run.RunEvent.Phase;
import dev.vard.run.RunEvent.SampleSeconds;
import dev.vard.worker.WorkerClient;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;

/** Draws images on the worker and has them scored while the next ones are drawn. */
final class Sampling {

  /**
   * @param rewards of each trajectory, in their order
   * @param kls of each trajectory in nats; empty unless the request measures them
   */
  record Sampled(List<Double> rewards, List<Double> kls, SampleSeconds seconds) {}

  /** Takes each image beside the reward. */
  @FunctionalInterface
  interface ImageSink {
    void accept(int index, Image image);
  }

  private final WorkerClient worker;
  private final RewardScorer scorer;
  private final RunFolder folder;
  private final RunJournal journal;
  private final Deadlines deadlines;
  private final RunListener listener;
  private final Clock clock;

  Sampling(
      WorkerClient worker,
      RewardScorer scorer,
      RunFolder folder,
      RunJournal journal,
      Deadlines deadlines,
      RunListener listener,
      Clock clock) {
    this.worker = worker;
    this.scorer = scorer;
    this.folder = folder;
    this.journal = journal;
    this.deadlines = deadlines;
    this.listener = listener;
    this.clock = clock;
  }

  /**
   * @param asked what the journal knows the queries by
   * @param trajectories those of the request
   * @throws InterruptedException if it was told to stop
   */
  Sampled draw(SampleRequest request, Round asked, List<Trajectory> trajectories, ImageSink images)
      throws InterruptedException {
    int iteration = asked.iteration();
    Phase phase =
        switch (asked.kind()) {
          case COLLECT -> Phase.SAMPLE;
          case EVALUATE -> Phase.EVALUATE;
        };
    try (RewardLog log = RewardLog.open(folder, journal, asked, clock)) {
      RewardScorer.Round round = scorer.round(trajectories.size(), journal.answers(asked), log);
      List<Double> kls = new ArrayList<>();
      long start = System.nanoTime();
      worker.sample(
          request,
          chunk -> {
            kls.addAll(chunk.getKlList());
            for (int i = 0; i < chunk.getShape(0); i++) {
              int index = chunk.getFirst() + i;
              Trajectory trajectory = trajectories.get(index);
              Image image = image(chunk, i);
              add(
                  round,
                  new RewardQuery(
                      image, trajectory.prompt(), trajectory.seed(), folder.runId(), iteration));
              images.accept(index, image);
            }
            listener.onEvent(
                new RunEvent.Progress(
                    iteration, phase, chunk.getFirst() + chunk.getShape(0), trajectories.size()));
          },
          deadlines.sample(trajectories.size()));
      double sampled = seconds(start);
      deadlines.sampled(trajectories.size(), Duration.ofNanos(System.nanoTime() - start));
      if (phase == Phase.SAMPLE) {
        listener.onEvent(new RunEvent.PhaseStarted(iteration, Phase.SCORE));
      }
      long waiting = System.nanoTime();
      List<Double> rewards = round.await();
      return new Sampled(
          rewards,
          List.copyOf(kls),
          new SampleSeconds(sampled, seconds(waiting), round.busySeconds()));
    }
  }

  /** The client passes on what its sink throws, if it is unchecked. */
  private static void add(RewardScorer.Round round, RewardQuery query) {
    try {
      round.add(query);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancellationException("interrupted while images waited for their scores");
    }
  }

  private static double seconds(long since) {
    return (System.nanoTime() - since) / 1e9;
  }

  private static Image image(ImageChunk chunk, int index) {
    int height = chunk.getShape(1);
    int width = chunk.getShape(2);
    int size = height * width * chunk.getShape(3);
    ByteString pixels = chunk.getData().substring(index * size, (index + 1) * size);
    return Image.of(height, width, pixels.toByteArray());
  }
}
