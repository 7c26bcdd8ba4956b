package dev.vard.report;

import dev.vard.reward.RewardMetrics;
import dev.vard.run.PhaseSeconds;
import dev.vard.run.RunEvent;
import dev.vard.run.RunEvent.Evaluated;
import dev.vard.run.RunEvent.IterationFinished;
import dev.vard.run.RunEvent.PolicyMetrics;
import dev.vard.run.RunEvent.SampleSeconds;
import dev.vard.run.RunEvent.Started;
import dev.vard.run.RunEvent.TimestepQuality;
import dev.vard.run.RunEvent.ValueMetrics;
import dev.vard.run.RunJson;
import dev.vard.run.RunResult;
import dev.vard.statistics.Interval;
import java.awt.Color;
import java.awt.GradientPaint;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;

/**
 * Writes the folder of a run that never was, with numbers as the emoji example has them.
 *
 * @param done iterations that the run did
 * @param every iterations between two evaluations; 0 for none at all
 */
record MadeUpRun(
    Path folder,
    String algorithm,
    String prompt,
    int iterations,
    int done,
    int every,
    int images,
    int side) {
  private static final int SAMPLES = 32;

  static MadeUpRun vard(Path folder) {
    return new MadeUpRun(folder, "vard", "grinning face , smileys", 16, 16, 4, 8, 32);
  }

  MadeUpRun withAlgorithm(String other) {
    return new MadeUpRun(folder, other, prompt, iterations, done, every, images, side);
  }

  MadeUpRun withPrompt(String other) {
    return new MadeUpRun(folder, algorithm, other, iterations, done, every, images, side);
  }

  MadeUpRun interruptedAfter(int other) {
    return new MadeUpRun(folder, algorithm, prompt, iterations, other, every, images, side);
  }

  MadeUpRun evaluatedEvery(int other) {
    return new MadeUpRun(folder, algorithm, prompt, iterations, done, other, images, side);
  }

  MadeUpRun withImages(int count, int pixels) {
    return new MadeUpRun(folder, algorithm, prompt, iterations, done, every, count, pixels);
  }

  MadeUpRun write() throws IOException {
    Random random = new Random(7);
    append(
        new Started(
            "emoji-20261123-041500",
            "emoji-compressibility",
            algorithm,
            7,
            iterations,
            SAMPLES,
            every == 0 ? 0 : iterations / every + 1,
            images,
            OptionalDouble.of(60),
            Instant.parse("2026-11-23T04:15:00.123Z"),
            folder));
    Files.writeString(folder.resolve("spec.resolved.yaml"), specification());
    evaluate(0, random);
    for (int k = 1; k <= done; k++) {
      append(iteration(k, random));
      if (every > 0 && k % every == 0) {
        evaluate(k, random);
      }
    }
    if (done == iterations) {
      Files.createDirectories(folder.resolve("export"));
      Files.writeString(folder.resolve("export/pytorch_lora_weights.safetensors"), "weights");
      append(new RunEvent.Finished(result()));
    }
    return this;
  }

  void append(RunEvent event) throws IOException {
    appendText(new RunJson().write(event) + "\n");
  }

  void appendText(String text) throws IOException {
    Files.writeString(
        folder.resolve("metrics.jsonl"),
        text,
        StandardOpenOption.CREATE,
        StandardOpenOption.APPEND);
  }

  private RunResult result() {
    return new RunResult(
        "emoji-20261123-041500",
        done,
        done * SAMPLES,
        5 * images,
        new Interval(-1.355, -1.41, -1.30),
        new Interval(-1.02, -1.06, -0.98),
        57.2,
        new PhaseSeconds(52.1, 0.4, 3.3, 61.7, 84.2, 201.9),
        folder.resolve("export").toString(),
        "00".repeat(32));
  }

  private double progress(int k) {
    return 1 - Math.exp(-k / 6.0);
  }

  private IterationFinished iteration(int k, Random random) {
    boolean warmup = algorithm.equals("vard") && k <= 2;
    double mean = -1.355 + 0.37 * progress(Math.max(0, k - 3)) + 0.02 * random.nextGaussian();
    return new IterationFinished(
        k,
        warmup ? "warmup" : "train",
        k * SAMPLES,
        new Interval(mean, mean - 0.07, mean + 0.07),
        algorithm.equals("vard") ? Optional.of(value(k, random)) : Optional.empty(),
        warmup
            ? Optional.empty()
            : Optional.of(
                new PolicyMetrics(
                    -0.4,
                    58 * progress(Math.max(0, k - 2)) + random.nextGaussian(),
                    0.02 * Math.pow(1.2, Math.sin(k) * 3),
                    0.7,
                    Map.of("objective", -0.5))),
        new PhaseSeconds(
            3.1,
            0.05,
            0.3,
            algorithm.equals("vard") ? 3.8 : 0,
            warmup ? 0 : 5.4,
            warmup ? 7.2 : 12.6),
        RewardMetrics.NONE);
  }

  private static ValueMetrics value(int k, Random random) {
    List<TimestepQuality> quality = new ArrayList<>();
    for (int step = 0; step <= 20; step++) {
      double most = 0.25 + 0.72 * step / 20;
      double r2 =
          k == 1
              ? -0.35 + 0.1 * random.nextGaussian()
              : most * (1 - Math.exp(-(k - 1) / 3.0))
                  - 0.1 * Math.exp(1.0 - k)
                  + 0.03 * random.nextGaussian();
      quality.add(
          new TimestepQuality(
              step == 20 ? -1 : 951 - 50 * step,
              k == 3 && step == 0 ? Double.NaN : r2,
              1 - r2,
              0.5));
    }
    return new ValueMetrics(quality, 0.9 * Math.exp(-k / 5.0) + 0.05);
  }

  private void evaluate(int k, Random random) throws IOException {
    if (every == 0) {
      return;
    }
    List<Double> rewards =
        IntStream.range(0, images)
            .mapToObj(
                i -> -1.1 - 0.06 * (i % 8) + 0.36 * progress(k) + 0.04 * random.nextGaussian())
            .toList();
    List<Double> kls =
        IntStream.range(0, images)
            .mapToObj(i -> 57.0 * progress(k) + (k == 0 ? 0 : i % 5))
            .toList();
    double kl = kls.stream().mapToDouble(Double::doubleValue).average().orElse(0);
    append(
        new Evaluated(
            k,
            Interval.of(rewards),
            rewards.stream().map(OptionalDouble::of).toList(),
            kl,
            kls,
            new SampleSeconds(6.2, 0.1, 0.4),
            RewardMetrics.NONE));
    Path samples = Files.createDirectories(folder.resolve("samples/%04d".formatted(k)));
    StringBuilder list = new StringBuilder();
    for (int i = 0; i < images; i++) {
      list.append(i == 0 ? "[" : ",")
          .append(
              "{\"prompt\":%s,\"seed\":%d}"
                  .formatted(
                      quoted(i == 0 ? prompt : "red apple number " + i), 9007199254740993L + i));
      ImageIO.write(picture(i, k), "png", samples.resolve("%04d.png".formatted(i)).toFile());
    }
    Files.writeString(folder.resolve("samples/evaluation.json"), list.append("]").toString());
  }

  private BufferedImage picture(int i, int k) {
    BufferedImage image = new BufferedImage(side, side, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = image.createGraphics();
    graphics.setPaint(Color.WHITE);
    graphics.fillRect(0, 0, side, side);
    Color colour = Color.getHSBColor(i / 13f, 0.8f, 0.9f);
    graphics.setPaint(
        new GradientPaint(0, 0, k == 0 ? colour.darker().darker() : colour, side, side, colour));
    graphics.fillOval(side / 8, side / 8, side * 3 / 4, side * 3 / 4);
    graphics.dispose();
    Random noise = new Random(i);
    for (int dot = 0; dot < (k == 0 ? side * side / 2 : 0); dot++) {
      image.setRGB(noise.nextInt(side), noise.nextInt(side), noise.nextInt(0x1000000));
    }
    return image;
  }

  private static String quoted(String text) {
    return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
  }

  private String specification() {
    return """
    name: emoji-compressibility
    seed: 7
    model:
      checkpoint: checkpoints/emoji-sd
      dtype: float32
    prompts:
      list: [%s]
    sampler: {kind: ddim, steps: 20, guidance: 3.0, eta: 1.0}
    reward: {kind: jpeg-compressibility, quality: 95}
    algorithm: {kind: %s, iterations: %d, samples: %d}
    """
        .formatted(quoted(prompt), algorithm, iterations, SAMPLES);
  }
}
